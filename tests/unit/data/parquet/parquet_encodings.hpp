#pragma once

// The encodings of the tests' writer of Parquet files.

#include <cstdint>
#include <string>
#include <vector>

namespace starling::data::testing {

/// Values of a column, none missing, each with its own bytes.
using RawValues = std::vector<std::string>;

void put_varint(std::string& out, std::uint64_t value);
std::uint64_t zigzag(std::int64_t value);

/// Runs of eight or more equal numbers become runs, all others stand side by side in eights.
std::string run_lengths(const std::vector<std::uint32_t>& numbers, unsigned width);

/// DELTA_BINARY_PACKED in blocks of 128 with four parts.
std::string delta_packed(const std::vector<std::int64_t>& numbers);

/// Encodes values of a type with an encoding of parquet.thrift, without a dictionary.
std::string encoded(const RawValues& values, int type, int encoding);

}  // namespace starling::data::testing
