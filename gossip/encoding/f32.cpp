#include "gossip/encoding/f32.hpp"

#include <algorithm>
#include <cstring>

#include "base/check.hpp"
#include "gossip/encoding/kernel.hpp"

namespace starling::gossip {
namespace {

struct BlockSums {
    float distance = 0.0F;
    float norm = 0.0F;
    float poison = 0.0F;  ///< 0 while every delta is finite, else NaN
};

/// One pass over a block. Loads go through memcpy because payloads are views at any alignment;
/// compilers turn it into unaligned vector loads. 0 * d is 0 for a finite d and NaN otherwise, and
/// d is not finite if theirs or mine is not: one multiplication checks all three.
[[gnu::always_inline]] inline BlockSums difference_body(
    const std::byte* theirs,
    const std::byte* mine,
    std::byte* delta,
    std::size_t elements,
    float coefficient
) {
    float distance = 0.0F;
    float norm = 0.0F;
    float poison = 0.0F;
#pragma omp simd reduction(+ : distance, norm, poison)
    for (std::size_t i = 0; i < elements; ++i) {
        float t = 0.0F;
        float m = 0.0F;
        std::memcpy(&t, theirs + i * sizeof(float), sizeof(float));
        std::memcpy(&m, mine + i * sizeof(float), sizeof(float));
        const float gap = t - m;
        const float d = coefficient * gap;
        std::memcpy(delta + i * sizeof(float), &d, sizeof(float));
        distance += gap * gap;
        norm += m * m;
        poison += 0.0F * d;
    }
    return {distance, norm, poison};
}

using DifferenceKernel =
    BlockSums (*)(const std::byte*, const std::byte*, std::byte*, std::size_t, float);

BlockSums difference_baseline(
    const std::byte* theirs, const std::byte* mine, std::byte* delta, std::size_t n, float a
) {
    return difference_body(theirs, mine, delta, n, a);
}

#if STARLING_X86_KERNELS
[[gnu::target("avx2")]] BlockSums difference_avx2(
    const std::byte* theirs, const std::byte* mine, std::byte* delta, std::size_t n, float a
) {
    return difference_body(theirs, mine, delta, n, a);
}

[[gnu::target("avx512f,avx512bw,avx512dq,avx512vl")]] BlockSums difference_avx512(
    const std::byte* theirs, const std::byte* mine, std::byte* delta, std::size_t n, float a
) {
    return difference_body(theirs, mine, delta, n, a);
}

constexpr Kernels<DifferenceKernel> kDifference{
    difference_baseline, difference_avx2, difference_avx512};
#else
constexpr Kernels<DifferenceKernel> kDifference{
    difference_baseline, difference_baseline, difference_baseline};
#endif

}  // namespace

void F32Encoding::encode(ByteView raw, std::span<std::byte> wire) const {
    STARLING_CHECK(raw.size() == wire.size());
    std::memcpy(wire.data(), raw.data(), raw.size());
}

Difference F32Encoding::difference(
    ByteView theirs, ByteView mine, double coefficient, std::span<std::byte> delta
) const {
    STARLING_CHECK(theirs.size() == mine.size() && delta.size() == mine.size());
    // Blocks of 1 Ki are summed in float lanes and the blocks in double: the sums only feed a
    // statistic, and a conversion of every element would halve the lanes.
    constexpr std::size_t kBlock = 1024;
    const std::size_t elements = mine.size() / sizeof(float);
    static const DifferenceKernel difference_block = kDifference.best();
    Difference sum;
    for (std::size_t start = 0; start < elements; start += kBlock) {
        const std::size_t at = start * sizeof(float);
        const auto block = difference_block(
            theirs.data() + at,
            mine.data() + at,
            delta.data() + at,
            std::min(kBlock, elements - start),
            static_cast<float>(coefficient)
        );
        sum.squared_distance += static_cast<double>(block.distance);
        sum.squared_norm += static_cast<double>(block.norm);
        sum.finite = sum.finite && block.poison == 0.0F;
    }
    return sum;
}

}  // namespace starling::gossip
