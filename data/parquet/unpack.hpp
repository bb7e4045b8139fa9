#pragma once

// The ways in which the pages of a Parquet file are compressed.

#include <cstdint>
#include <span>
#include <string>

#include "base/result.hpp"

namespace starling::data {

/// Checks that a number of parquet.thrift's CompressionCodec is one that `unpack` knows.
/// Errors    Unsupported: the message names the codec, and no file
[[nodiscard]] Result<void> check_parquet_codec(std::int64_t codec);

/// Fills `out` with what is packed in `packed`. Takes no memory that grows with what the bytes say.
/// Requires  a codec that check_parquet_codec accepts
/// Errors    BadFormat: the packed bytes are damaged, or have another length; the message names no file
/// Thread    any
[[nodiscard]] Result<void> unpack_parquet(
    std::int64_t codec, std::span<const std::uint8_t> packed, std::span<std::uint8_t> out
);

}  // namespace starling::data
