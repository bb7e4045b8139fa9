#pragma once

// IDX, the format of MNIST and similar data sets: two zero bytes, element type, rank, one
// big-endian 32-bit size per dimension, elements. A file may be plain or gzipped; its name does not
// matter.
//
// Source: http://yann.lecun.com/exdb/mnist, section "The IDX file format"; only unsigned bytes.

#include <cstdint>
#include <filesystem>
#include <vector>

#include "base/result.hpp"

namespace starling::data {

/// Largest content of one file, unpacked. A file whose header promises more is refused at once.
inline constexpr std::uint64_t kIdxBytesMax = std::uint64_t{2} << 30U;

struct IdxArray {
    std::vector<std::uint32_t> dimensions;  ///< `rank` numbers, none of them zero
    std::vector<std::uint8_t> values;       ///< as many as the product of the dimensions
};

/// Reads an array of unsigned bytes with `rank` dimensions. Unpacks at most one byte more than the
/// header promises. Allocates memory as the bytes arrive and does not trust the header.
/// Errors    NotFound, Io, BadFormat (magic, type, rank, bytes after the end), Truncated, Corrupt
///           (gzip checksum), BadValue (a dimension of zero), Oversized; each names the file
[[nodiscard]] Result<IdxArray> read_idx(const std::filesystem::path& file, std::size_t rank);

}  // namespace starling::data
