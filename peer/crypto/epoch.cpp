#include "peer/crypto/epoch.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>

#include "peer/machine/files.hpp"

namespace starling::peer {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kEpochFileMax = 64;
/// Those of the largest number. Each later one has room in the same file.
constexpr std::size_t kDigits = 20;

/// The file as it is.
struct EpochFile {
    std::uint64_t epoch = 0;
    std::size_t digits = 0;
};

/// Returns the file, or nothing before the first life.
Result<std::optional<EpochFile>> read_epoch(Disk& disk, const fs::path& path) {
    const auto bytes = read_file(disk, path, kEpochFileMax);
    if (!bytes && bytes.error().code == FaultCode::NotFound) return std::optional<EpochFile>();
    if (!bytes) return bytes.error();
    auto text = as_text(*bytes);
    if (text.ends_with('\n')) text.remove_suffix(1);
    EpochFile file;
    file.digits = text.size();
    const auto* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, file.epoch);
    if (error != std::errc{} || rest != end || file.epoch == ~std::uint64_t{0}) {
        return fail(
            FaultCode::BadFormat,
            path.string() + ": not a whole number; write one larger than this peer ever used"
        );
    }
    return std::optional(file);
}

std::string text_of(std::uint64_t epoch, std::size_t digits) {
    const auto number = std::to_string(epoch);
    return std::string(digits - std::min(digits, number.size()), '0') + number + "\n";
}

}  // namespace

/// The number that is written over the old one lies in one sector (kOverwriteBytesMax), so a loss of
/// power leaves either of them. The new epoch is not used before it is on the disk.
Result<std::uint64_t> raise_epoch(Disk& disk, const fs::path& path, std::uint64_t at_least) {
    const auto last = read_epoch(disk, path);
    if (!last) return last.error();
    const auto epoch = std::max((*last ? (*last)->epoch : 0) + 1, at_least);
    auto stored =
        write_file_atomically(disk, path, as_byte_view(text_of(epoch, kDigits)), kPrivateFile);
    if (stored) return epoch;
    if (stored.error().code == kDiskFull && *last) {
        const auto text = text_of(epoch, (*last)->digits);
        if (text.size() == (*last)->digits + 1) {
            stored = disk.overwrite(path, as_byte_view(text));
            if (stored) return epoch;
        }
    }
    if (stored.error().code != kDiskFull) return stored.error();
    return fail(
        kDiskFull,
        stored.error().message +
            "; free some room on that disk: a peer may not start twice with one " +
            path.filename().string()
    );
}

}  // namespace starling::peer
