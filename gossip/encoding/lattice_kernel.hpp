#pragma once

// The loops of the lattice encoding over one block of at most kBlockElements. An element x stands
// on the lattice at k = round(x / scale); its code is k modulo 2^bits.

#include <cstddef>
#include <cstdint>

#include "base/simd.hpp"

namespace starling::gossip::lattice {

/// Largest |x / scale| that is rounded exactly, by adding 1.5 * 2^23.
inline constexpr float kReach = 2097152.0F;  // 2^21

struct Measure {
    float largest = 0.0F;  ///< |x|
    float squares = 0.0F;  ///< sum of x * x
    bool finite = true;
};

/// How two blocks lie to each other, in units of the scale.
struct Distance {
    std::int32_t gap = 0;      ///< largest |k_theirs - k_mine| as decoded
    std::int32_t squares = 0;  ///< its squares, summed
    std::uint64_t hash = 0;    ///< of their integers as decoded
};

/// One block: raw floats at any alignment; codes packed. 8 bits: a byte each. 4 bits: the first
/// half of the block in the low nibbles, the second half in the high ones.
struct Block {
    int bits = 8;
    std::size_t elements = 0;
    float scale = 1.0F;
    const std::byte* raw = nullptr;
    const std::byte* theirs = nullptr;
    const std::byte* mine = nullptr;
    std::byte* codes = nullptr;  ///< where the codes of `raw` go
    std::byte* delta = nullptr;
    float step = 0.0F;  ///< coefficient * scale: a delta is step * (k_theirs - k_mine)
};

[[nodiscard]] constexpr std::size_t code_bytes(std::size_t elements, int bits) {
    return bits == 8 ? elements : (elements + 1) / 2;
}

[[nodiscard]] Measure measure(const Block& block, Isa isa);

/// Writes the codes of `raw` and returns the hash of the integers before reduction.
[[nodiscard]] std::uint64_t quantize(const Block& block, Isa isa);

/// Writes the codes of `raw`, decodes `theirs` beside it, and writes the delta.
[[nodiscard]] Distance answer(const Block& block, Isa isa);

/// Decodes `theirs` beside the codes in `mine`, and writes the delta. The hash is not computed.
[[nodiscard]] Distance take_reply(const Block& block, Isa isa);

}  // namespace starling::gossip::lattice
