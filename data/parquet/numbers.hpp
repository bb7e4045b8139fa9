#pragma once

// Numbers that Parquet writes in other forms than a processor has.

#include <cstdint>

#include "base/bytes.hpp"

namespace starling::data {

/// Return the double that is nearest to the value divided by 10^scale. Bytes are big-endian, in two's
/// complement; of more than 64 of them the result is NaN.
/// Thread    any (pure)
[[nodiscard]] double decimal_of(std::int64_t value, std::uint32_t scale);
[[nodiscard]] double decimal_of_bytes(ByteView bytes, std::uint32_t scale);

/// Returns the number that the bits of an IEEE 754 half mean.
[[nodiscard]] double half_of(std::uint16_t bits);

}  // namespace starling::data
