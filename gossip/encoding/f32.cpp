#include "gossip/encoding/f32.hpp"

#include <cstring>

#include "base/check.hpp"
#include "gossip/encoding/block_sums.hpp"
#include "gossip/encoding/kernel.hpp"

namespace starling::gossip {
namespace {

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
    static const DifferenceKernel kernel = kDifference.best();
    return sum_blocks(kernel, theirs, mine, sizeof(float), coefficient, delta);
}

}  // namespace starling::gossip
