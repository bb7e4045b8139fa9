#include "peer/start/address_book.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/bytes.hpp"
#include "base/hex.hpp"
#include "peer/machine/files.hpp"

namespace starling::peer {

namespace fs = std::filesystem;

namespace {

/// Far more than 64 lines need.
constexpr std::size_t kBookBytesMax = std::size_t{16} * 1024;
/// Most directories beside ours that are looked at.
constexpr std::size_t kNeighboursMax = 256;

Result<void> take_line(std::string_view line, AddressBook& book) {
    const auto space = line.find(' ');
    const auto key = line.substr(0, space);
    const auto value = space == std::string_view::npos ? "" : line.substr(space + 1);
    if (key == "swarm") {
        const auto swarm = hash_from_hex<SwarmIdTag>(value);
        if (!swarm) return fail(FaultCode::BadFormat, "not the id of a swarm");
        book.swarm = *swarm;
        return {};
    }
    const auto address = Endpoint::parse(value);
    if (address.has_error()) return address.error();
    if (key == "self") {
        book.self = *address;
    } else if (key == "member" && book.members.size() < kBookMembersMax) {
        book.members.push_back(*address);
    }
    return {};  // a later release may add lines
}

}  // namespace

fs::path address_book_path(const fs::path& state) {
    return state / "members";
}

Result<void> write_address_book(const fs::path& state, const AddressBook& book) {
    std::string text = "swarm " + book.swarm.hex() + "\nself " + book.self.to_string() + "\n";
    for (const auto& member : book.members) text += "member " + member.to_string() + "\n";
    return write_file_atomically(address_book_path(state), as_byte_view(text), kPrivateFile);
}

Result<AddressBook> read_address_book(const fs::path& state) {
    const auto path = address_book_path(state);
    const auto bytes = read_file(path, kBookBytesMax);
    if (bytes.has_error()) return bytes.error();
    AddressBook book;
    auto text = as_text(*bytes);
    while (!text.empty()) {
        const auto end = std::min(text.find('\n'), text.size());
        if (auto ok = take_line(text.substr(0, end), book); ok.has_error()) {
            return fail(FaultCode::BadFormat, path.string() + ": " + ok.error().message);
        }
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    if (book.swarm.is_zero() || book.self.port == 0) {
        return fail(FaultCode::BadFormat, path.string() + ": names no swarm or no address");
    }
    return book;
}

std::vector<Endpoint> neighbours(const fs::path& state, const SwarmId& swarm) {
    std::vector<Endpoint> found;
    std::error_code error;
    const auto ours = fs::canonical(state, error);
    if (error) return found;
    fs::directory_iterator beside(ours.parent_path(), error);
    for (std::size_t i = 0; !error && beside != fs::directory_iterator() && i < kNeighboursMax;
         ++i, beside.increment(error)) {
        if (beside->path() == ours) continue;
        const auto book = read_address_book(beside->path());
        if (book.has_value() && book->swarm == swarm) found.push_back(book->self);
    }
    return found;
}

std::vector<std::string> seeds_of_last_life(const PeerConfig& config) {
    std::vector<std::string> seeds;
    if (config.state.empty() || !config.join.empty() || !config.dataset.empty()) return seeds;
    std::error_code error;
    if (fs::exists(config.state / "checkpoint", error)) return seeds;
    if (fs::exists(config.state / "checkpoint.prev", error)) return seeds;
    const auto book = read_address_book(config.state);
    if (book.has_error()) return seeds;  // the caller says what is missing
    for (const auto& member : book->members) seeds.push_back(member.to_string());
    for (const auto& beside : neighbours(config.state, book->swarm)) {
        seeds.push_back(beside.to_string());
    }
    return seeds;
}

}  // namespace starling::peer
