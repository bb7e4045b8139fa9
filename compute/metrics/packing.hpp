#pragma once

// How the counts of a tally travel: small numbers in few bytes, and each number in one way only, so
// that equal tallies have equal bytes.

#include <cstdint>

#include "base/bytes.hpp"

namespace starling::compute {

/// No tally counts further than this, so that a few of them add up in 64 bits and a count is exact
/// as a double.
inline constexpr std::uint64_t kCountMax = std::uint64_t{1} << 48U;

/// Writes a number in groups of 7 bits, the lowest first; all bytes but the last have their highest
/// bit set (LEB128). 1 to 10 bytes.
inline void put_packed(ByteWriter& out, std::uint64_t value) {
    while (value >= 0x80U) {
        out.put(static_cast<std::uint8_t>(value | 0x80U));
        value >>= 7U;
    }
    out.put(static_cast<std::uint8_t>(value));
}

/// Reads a packed number of at most `max`. A larger one, or one in more bytes than it needs, spoils
/// the reader and gives 0.
[[nodiscard]] inline std::uint64_t take_packed(ByteReader& in, std::uint64_t max) {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        const auto byte = in.take<std::uint8_t>();
        const auto group = static_cast<std::uint64_t>(byte & 0x7fU);
        if (!in.ok() || (group << shift) >> shift != group) break;
        value |= group << shift;
        if ((byte & 0x80U) != 0) continue;
        if ((byte == 0 && shift > 0) || value > max) break;
        return value;
    }
    in.spoil();
    return 0;
}

}  // namespace starling::compute
