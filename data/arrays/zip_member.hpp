#pragma once

// One member of a zip, stored or deflated, read from its beginning to its end.

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.hpp"
#include "data/formats/byte_stream.hpp"
#include "data/formats/random_bytes.hpp"

namespace starling::data {

/// What the zip's directory says of a member.
struct ZipMember {
    std::string name;  ///< without ".npy"
    bool deflated = false;
    std::uint32_t checksum = 0;
    std::uint64_t packed_bytes = 0;
    std::uint64_t bytes = 0;
    std::uint64_t offset = 0;  ///< of the member's own header
};

/// Opens the content of a member. `bytes` must outlive it. The end is reached only if the size and the
/// checksum are those of the directory.
/// Errors    BadFormat (no member begins there), Truncated, Io; when reading also Corrupt
/// Thread    any, one at a time
[[nodiscard]] Result<std::unique_ptr<ByteStream>> open_zip_member(
    const RandomBytes& bytes, const ZipMember& member
);

}  // namespace starling::data
