#pragma once

// IDX, the format of MNIST and its kin: two zero bytes, element type, rank, one big-endian 32-bit
// size per dimension, elements. Read plain or gzipped, whatever the file's name says.
//
// Source: http://yann.lecun.com/exdb/mnist, section "The IDX file format"; only unsigned bytes.

#include <cstdint>
#include <filesystem>
#include <vector>

#include "base/result.hpp"

namespace starling::data {

/// Largest content of one file, unpacked: a gigabyte-sized bomb is refused by its own header.
inline constexpr std::uint64_t kIdxBytesMax = std::uint64_t{2} << 30U;

struct IdxArray {
    std::vector<std::uint32_t> dimensions;  ///< as many as asked for, none of them zero
    std::vector<std::uint8_t> values;       ///< their product
};

/// Reads an array of unsigned bytes with `rank` dimensions. Unpacks at most one byte more than the
/// header promises, and allocates as the bytes arrive, not as the header claims.
/// Errors    NotFound, Io, BadFormat (magic, type, rank, bytes after the end), Truncated, Corrupt
///           (gzip checksum), BadValue (a dimension of zero), Oversized; each names the file
[[nodiscard]] Result<IdxArray> read_idx(const std::filesystem::path& file, std::size_t rank);

}  // namespace starling::data
