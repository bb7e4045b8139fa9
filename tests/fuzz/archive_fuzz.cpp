// Goal: no bytes that claim to be an archive crash, lead out of a folder or unpack without a limit.
// Method: the input is the archive; entries of odd numbers are read, the others skipped.

#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>

#include "data/archive/archive.hpp"

namespace {

using namespace starling;
using namespace starling::data;

constexpr std::uint64_t kBytesMax = std::uint64_t{1} << 20U;

void require(bool holds) {
    if (!holds) std::abort();
}

void require_harmless(const ArchiveEntry& entry, std::size_t archive_bytes) {
    require(!entry.name.starts_with('/'));
    require(entry.name != ".." && !entry.name.starts_with("../") && !entry.name.ends_with("/.."));
    require(entry.name.find("/../") == std::string::npos);
    require(!entry.offset || *entry.offset + *entry.size <= archive_bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto bytes = std::as_bytes(std::span(data, size));
    auto archive = Archive::over(bytes, "archive", {.bytes_max = kBytesMax});
    if (!archive.has_value()) return 0;
    std::set<std::string> names;
    std::uint64_t unpacked = 0;
    Bytes content;
    while (true) {
        const auto entry = archive->next();
        if (!entry.has_value()) {
            require(!archive->next().has_value());
            return 0;
        }
        if (!entry->has_value()) return 0;
        require_harmless(**entry, size);
        if (!(*entry)->regular) continue;
        require(names.insert((*entry)->name).second);
        if (names.size() % 2 == 0) continue;
        if (!archive->read(content, kBytesMax / 2).has_value()) continue;
        unpacked += content.size();
        require(content.size() <= kBytesMax / 2 && unpacked <= kBytesMax);
    }
}
