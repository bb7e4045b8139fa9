#include "peer/transfer/kept_chunks.hpp"

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>

#include "peer/machine/files.hpp"

namespace starling::peer {

namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMagic = 0x4b4e484352415453;  // "STARCHNK" in little-endian order
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kHeadBytes = 8 + 4 + 32 + 4;
constexpr std::size_t kHashBytes = 32;
constexpr std::size_t kNameDigits = 8;

std::optional<std::uint32_t> chunk_of(const fs::path& path) {
    const auto name = path.filename().string();
    std::uint32_t chunk = 0;
    const auto* end = name.data() + name.size();
    const auto read = std::from_chars(name.data(), end, chunk);
    const bool whole = read.ec == std::errc() && read.ptr == end;
    return whole && name.size() >= kNameDigits ? std::optional(chunk) : std::nullopt;
}

}  // namespace

KeptChunks::KeptChunks(
    Disk& disk, fs::path directory, const SwarmId& swarm, data::HashFunction sha256
)
    : disk_(&disk),
      directory_(std::move(directory)),
      swarm_(swarm),
      sha256_(sha256) {}

fs::path KeptChunks::path_of(std::uint32_t chunk) const {
    auto name = std::to_string(chunk);
    if (name.size() < kNameDigits) name.insert(0, kNameDigits - name.size(), '0');
    return directory_ / name;
}

/// Returns the files of chunks, in their order. Anything else in the directory is not ours.
std::vector<std::pair<std::uint32_t, fs::path>> KeptChunks::files() const {
    std::vector<std::pair<std::uint32_t, fs::path>> found;
    for (auto& path : disk_->list(directory_)) {
        if (const auto chunk = chunk_of(path)) found.emplace_back(*chunk, std::move(path));
    }
    std::sort(found.begin(), found.end());
    return found;
}

Bytes KeptChunks::head_of(std::uint32_t chunk) const {
    Bytes head;
    ByteWriter writer(head);
    writer.put(kMagic);
    writer.put(kVersion);
    writer.put_array(swarm_.bytes);
    writer.put(chunk);
    return head;
}

std::vector<std::uint32_t> KeptChunks::load(
    ParameterChunks& into, const std::function<bool()>& enough
) {
    std::vector<std::uint32_t> loaded;
    for (const auto& [chunk, path] : files()) {
        if (enough()) break;
        if (read(chunk, path, into)) {
            loaded.push_back(chunk);
        } else {
            disk_->remove(path);
        }
    }
    return loaded;
}

bool KeptChunks::read(std::uint32_t chunk, const fs::path& path, ParameterChunks& into) {
    if (chunk >= into.chunk_count()) return false;
    const auto size = into.chunk_bytes(chunk);
    const auto bytes = read_file(*disk_, path, kHeadBytes + size + kHashBytes);
    if (bytes.has_error() || bytes->size() != kHeadBytes + size + kHashBytes) return false;
    const auto all = ByteView(*bytes);
    const auto content = all.first(kHeadBytes + size);
    const auto hash = sha256_(content);
    const auto stored = all.last(kHashBytes);
    if (!std::ranges::equal(std::as_bytes(std::span(hash)), stored)) return false;
    if (!std::ranges::equal(content.first(kHeadBytes), head_of(chunk))) return false;
    return into.write(chunk, content.subspan(kHeadBytes));
}

Result<void> KeptChunks::keep(std::uint32_t chunk, ByteView bytes) {
    if (!made_) {
        if (auto made = make_directories(*disk_, directory_, 0700); made.has_error()) return made;
        made_ = true;
    }
    Bytes content = head_of(chunk);
    content.reserve(content.size() + bytes.size() + kHashBytes);
    content.insert(content.end(), bytes.begin(), bytes.end());
    const auto hash = sha256_(content);
    ByteWriter(content).put_array(hash);
    auto file = disk_->create(path_of(chunk), kPrivateFile);
    if (file.has_error()) return file.error();
    return (*file)->append(content);
}

void KeptChunks::clear() {
    for (const auto& [chunk, path] : files()) disk_->remove(path);
}

}  // namespace starling::peer
