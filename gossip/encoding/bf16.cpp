#include "gossip/encoding/bf16.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.hpp"
#include "base/simd.hpp"
#include "gossip/encoding/block_sums.hpp"

namespace starling::gossip {
namespace {

constexpr std::uint32_t kSign = 0x80000000U;
constexpr std::uint32_t kInfinity = 0x7f800000U;
constexpr std::uint32_t kLargest = 0x7f7fU;
constexpr std::uint32_t kNan = 0x7fc0U;

/// Without branches, so that it vectorises: both special cases are selections.
STARLING_INLINE std::uint16_t round_to_bf16(std::uint32_t bits) {
    const std::uint32_t magnitude = bits & ~kSign;
    std::uint32_t rounded = (magnitude + 0x7fffU + ((magnitude >> 16U) & 1U)) >> 16U;
    rounded = magnitude < kInfinity ? std::min(rounded, kLargest) : rounded;
    rounded = magnitude > kInfinity ? kNan : rounded;
    return static_cast<std::uint16_t>(rounded | ((bits & kSign) >> 16U));
}

STARLING_INLINE void encode_body(const std::byte* raw, std::byte* wire, std::size_t elements) {
#pragma omp simd
    for (std::size_t i = 0; i < elements; ++i) {
        std::uint32_t bits = 0;
        std::memcpy(&bits, raw + i * sizeof(bits), sizeof(bits));
        const std::uint16_t half = round_to_bf16(bits);
        std::memcpy(wire + i * sizeof(half), &half, sizeof(half));
    }
}

STARLING_INLINE float load(const std::byte* wire, std::size_t i) {
    std::uint16_t half = 0;
    std::memcpy(&half, wire + i * sizeof(half), sizeof(half));
    return std::bit_cast<float>(static_cast<std::uint32_t>(half) << 16U);
}

/// As for f32: one multiplication by zero notices every value that is not finite.
STARLING_INLINE BlockSums difference_body(
    const std::byte* theirs, const std::byte* mine, std::byte* delta, std::size_t n, float a
) {
    float distance = 0.0F;
    float norm = 0.0F;
    float poison = 0.0F;
#pragma omp simd reduction(+ : distance, norm, poison)
    for (std::size_t i = 0; i < n; ++i) {
        const float m = load(mine, i);
        const float gap = load(theirs, i) - m;
        const float d = a * gap;
        std::memcpy(delta + i * sizeof(float), &d, sizeof(float));
        distance += gap * gap;
        norm += m * m;
        poison += 0.0F * d;
    }
    return {distance, norm, poison};
}

constexpr auto kEncode = kKernelsOf<encode_body>;
constexpr auto kDifference = kKernelsOf<difference_body>;

}  // namespace

void Bf16Encoding::encode(ByteView raw, std::span<std::byte> wire) const {
    STARLING_CHECK(raw.size() == 2 * wire.size());
    static const auto kernel = kEncode.best();
    kernel(raw.data(), wire.data(), wire.size() / sizeof(std::uint16_t));
}

Difference Bf16Encoding::difference(
    ByteView theirs, ByteView mine, double coefficient, std::span<std::byte> delta
) const {
    STARLING_CHECK(theirs.size() == mine.size() && delta.size() == 2 * mine.size());
    static const auto kernel = kDifference.best();
    return sum_differences(kernel, theirs, mine, sizeof(std::uint16_t), coefficient, delta);
}

}  // namespace starling::gossip
