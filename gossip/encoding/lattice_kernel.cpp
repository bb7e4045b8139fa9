#include "gossip/encoding/lattice_kernel.hpp"

#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/rng.hpp"
#include "gossip/encoding/encoding.hpp"

namespace starling::gossip::lattice {
namespace {

/// x + 1.5 * 2^23 has round(x) in its low mantissa bits, for |x| <= 2^22, in every rounding unit.
constexpr float kMagic = 12582912.0F;
constexpr std::int32_t kMagicBits = 0x4b400000;

/// A 64-bit key for each position, in halves. H = sum of key_i * k_i modulo 2^64, with k_i as an
/// unsigned 32-bit number: a wrap adds a multiple of key_i * 2^bits, so wraps cancel only if a
/// small combination of the keys is 0 modulo 2^(64 - bits). A plain sum lets +2^b and -2^b cancel.
struct Keys {
    alignas(64) std::array<std::uint32_t, kBlockElements> low;
    alignas(64) std::array<std::uint32_t, kBlockElements> high;
};

constexpr Keys make_keys() {
    Keys keys{};
    for (std::size_t i = 0; i < kBlockElements; ++i) {
        const std::uint64_t key = mix64(0x6c617474696365ULL + i) | 1U;
        keys.low[i] = static_cast<std::uint32_t>(key);
        keys.high[i] = static_cast<std::uint32_t>(key >> 32U);
    }
    return keys;
}

constexpr Keys kKeys = make_keys();

struct Integers {
    alignas(64) std::array<std::int32_t, kBlockElements> k;
};

STARLING_INLINE float load(const std::byte* raw, std::size_t i) {
    float x = 0.0F;
    std::memcpy(&x, raw + i * sizeof(float), sizeof(float));
    return x;
}

STARLING_INLINE void to_lattice(const Block& block, Integers& out) {
    const float inverse = 1.0F / block.scale;
    std::int32_t* const k = out.k.data();
    const std::byte* const raw = block.raw;
#pragma omp simd
    for (std::size_t i = 0; i < block.elements; ++i) {
        k[i] = std::bit_cast<std::int32_t>(load(raw, i) * inverse + kMagic) - kMagicBits;
    }
}

STARLING_INLINE std::uint64_t hash(const Integers& in, std::size_t elements) {
    const std::int32_t* const k = in.k.data();
    std::uint64_t low = 0;
    std::uint32_t high = 0;
#pragma omp simd reduction(+ : low, high)
    for (std::size_t i = 0; i < elements; ++i) {
        const auto u = static_cast<std::uint32_t>(k[i]);
        low += std::uint64_t{kKeys.low[i]} * u;
        high += kKeys.high[i] * u;
    }
    return low + (std::uint64_t{high} << 32U);
}

STARLING_INLINE void pack(const Block& block, const Integers& in) {
    const std::int32_t* const k = in.k.data();
    std::byte* const out = block.codes;
    if (block.bits == 8) {
#pragma omp simd
        for (std::size_t i = 0; i < block.elements; ++i) out[i] = static_cast<std::byte>(k[i]);
        return;
    }
    const std::size_t pairs = block.elements / 2;
    const std::size_t half = code_bytes(block.elements, block.bits);
#pragma omp simd
    for (std::size_t i = 0; i < pairs; ++i) {
        out[i] = static_cast<std::byte>((k[i] & 15) | ((k[i + half] & 15) << 4));
    }
    if (half > pairs) out[pairs] = static_cast<std::byte>(k[pairs] & 15);
}

STARLING_INLINE void unpack(const std::byte* codes, int bits, std::size_t elements, Integers& out) {
    std::int32_t* const k = out.k.data();
    if (bits == 8) {
#pragma omp simd
        for (std::size_t i = 0; i < elements; ++i) k[i] = static_cast<std::int32_t>(codes[i]);
        return;
    }
    const std::size_t pairs = elements / 2;
    const std::size_t half = code_bytes(elements, bits);
#pragma omp simd
    for (std::size_t i = 0; i < pairs; ++i) {
        k[i] = static_cast<std::int32_t>(codes[i]) & 15;
        k[i + half] = static_cast<std::int32_t>(codes[i]) >> 4;
    }
    if (half > pairs) k[pairs] = static_cast<std::int32_t>(codes[pairs]) & 15;
}

/// The number congruent to theirs - mine modulo 2^bits that is nearest to zero, for each element;
/// `theirs` becomes the integer that was meant, if it is near enough.
STARLING_INLINE Distance decode(const Block& block, Integers& theirs, const Integers& mine) {
    const int shift = 32 - block.bits;
    const float step = block.step;
    std::int32_t* const t = theirs.k.data();
    const std::int32_t* const m = mine.k.data();
    std::byte* const delta = block.delta;
    std::int32_t gap = 0;
    std::int32_t squares = 0;
#pragma omp simd reduction(max : gap) reduction(+ : squares)
    for (std::size_t i = 0; i < block.elements; ++i) {
        const auto raised = static_cast<std::uint32_t>(t[i] - m[i]) << shift;
        const std::int32_t d = static_cast<std::int32_t>(raised) >> shift;
        t[i] = m[i] + d;
        const std::int32_t size = d < 0 ? -d : d;
        gap = size > gap ? size : gap;
        squares += d * d;
        const float change = step * static_cast<float>(d);
        std::memcpy(delta + i * sizeof(float), &change, sizeof(float));
    }
    return {gap, squares, 0};
}

STARLING_INLINE Measure measure_body(const Block& block) {
    const std::byte* const raw = block.raw;
    float largest = 0.0F;
    float squares = 0.0F;
    float poison = 0.0F;
#pragma omp simd reduction(max : largest) reduction(+ : squares, poison)
    for (std::size_t i = 0; i < block.elements; ++i) {
        const float x = load(raw, i);
        const float size = std::fabs(x);
        largest = size > largest ? size : largest;
        squares += x * x;
        poison += 0.0F * x;
    }
    return {largest, squares, poison == 0.0F};
}

STARLING_INLINE std::uint64_t quantize_body(const Block& block) {
    Integers mine;
    to_lattice(block, mine);
    pack(block, mine);
    return hash(mine, block.elements);
}

STARLING_INLINE Distance answer_body(const Block& block) {
    Integers mine;
    Integers theirs;
    to_lattice(block, mine);
    pack(block, mine);
    unpack(block.theirs, block.bits, block.elements, theirs);
    Distance distance = decode(block, theirs, mine);
    distance.hash = hash(theirs, block.elements);
    return distance;
}

STARLING_INLINE Distance take_reply_body(const Block& block) {
    Integers mine;
    Integers theirs;
    unpack(block.mine, block.bits, block.elements, mine);
    unpack(block.theirs, block.bits, block.elements, theirs);
    return decode(block, theirs, mine);
}

}  // namespace

Measure measure(const Block& block, Isa isa) {
    return kKernelsOf<measure_body>.for_isa(isa)(block);
}

std::uint64_t quantize(const Block& block, Isa isa) {
    return kKernelsOf<quantize_body>.for_isa(isa)(block);
}

Distance answer(const Block& block, Isa isa) {
    return kKernelsOf<answer_body>.for_isa(isa)(block);
}

Distance take_reply(const Block& block, Isa isa) {
    return kKernelsOf<take_reply_body>.for_isa(isa)(block);
}

}  // namespace starling::gossip::lattice
