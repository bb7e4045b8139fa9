#include "gossip/encoding/f32.hpp"

#include <cmath>
#include <cstring>

#include "base/check.hpp"
#include "base/simd.hpp"
#include "gossip/encoding/block_sums.hpp"

namespace starling::gossip {
namespace {

// Loads go through memcpy because payloads are views at any alignment; compilers turn it into
// unaligned vector loads. 0 * d is 0 for a finite d and NaN otherwise, and d is not finite if
// theirs or mine is not: one multiplication checks all three.

STARLING_INLINE float load(const std::byte* from, std::size_t i) {
    float value = 0.0F;
    std::memcpy(&value, from + i * sizeof(float), sizeof(float));
    return value;
}

STARLING_INLINE void store(std::byte* to, std::size_t i, float value) {
    std::memcpy(to + i * sizeof(float), &value, sizeof(float));
}

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
        store(delta, i, d);
        distance += gap * gap;
        norm += m * m;
        poison += 0.0F * d;
    }
    return {distance, norm, poison};
}

/// How far the two sides go: `step` is the share of the difference that the heavier one goes, and the
/// others are powers of two.
struct Gaits {
    float step = 0.0F;
    float own = 1.0F;
    float other = 1.0F;
};

/// Writes what the partner adds to `reply`, which may be `mine` itself, and what we add to `delta`.
STARLING_INLINE BlockSums answer_body(
    const std::byte* theirs,
    const std::byte* mine,
    std::byte* reply,
    std::byte* delta,
    std::size_t n,
    const Gaits& gaits
) {
    float distance = 0.0F;
    float norm = 0.0F;
    float poison = 0.0F;
#pragma omp simd reduction(+ : distance, norm, poison)
    for (std::size_t i = 0; i < n; ++i) {
        const float m = load(mine, i);
        const float gap = load(theirs, i) - m;
        const float t = gaits.step * gap;
        // Computed once, so that both sides add the same: products with powers of two are exact.
        store(reply, i, -(gaits.other * t));
        store(delta, i, gaits.own * t);
        distance += gap * gap;
        norm += m * m;
        poison += 0.0F * t;
    }
    return {distance, norm, poison};
}

/// Returns the sum of the squares as `norm`.
STARLING_INLINE BlockSums measure_body(const std::byte* values, std::size_t n) {
    float norm = 0.0F;
    float poison = 0.0F;
#pragma omp simd reduction(+ : norm, poison)
    for (std::size_t i = 0; i < n; ++i) {
        const float value = load(values, i);
        norm += value * value;
        poison += 0.0F * value;
    }
    return {0.0F, norm, poison};
}

using MeasureKernel = BlockSums (*)(const std::byte*, std::size_t);

constexpr auto kDifference = kKernelsOf<difference_body>;
constexpr auto kAnswer = kKernelsOf<answer_body>;
constexpr auto kMeasure = kKernelsOf<measure_body>;

constexpr std::size_t kWidth = sizeof(float);

Difference measure(MeasureKernel kernel, ByteView values) {
    return sum_blocks(values.size() / kWidth, [&](std::size_t start, std::size_t count) {
        return kernel(values.data() + start * kWidth, count);
    });
}

}  // namespace

Offer F32Encoding::offer(ByteView raw, std::span<const float> gaps, std::span<std::byte> wire)
    const {
    Offer made = PlainEncoding::offer(raw, gaps, wire);
    // Measured here, because taking the reply sees the difference only.
    made.squared_norm = measure(kMeasure.for_isa(isa_), wire).squared_norm;
    return made;
}

Difference F32Encoding::answer(ByteView offer, ByteView raw, Reply& reply, const Share& share)
    const {
    STARLING_CHECK(offer.size() == raw.size() && reply.wire.size() == raw.size());
    STARLING_CHECK(share.delta.size() == raw.size());
    reply.bytes = raw.size();
    const auto kernel = kAnswer.for_isa(isa_);
    const Gaits gaits{
        static_cast<float>(step_of(share.coefficient, share.tilt)),
        std::ldexp(1.0F, share.tilt.own),
        std::ldexp(1.0F, share.tilt.other)};
    const auto result = sum_blocks(raw.size() / kWidth, [&](std::size_t start, std::size_t count) {
        const std::size_t at = start * kWidth;
        return kernel(
            offer.data() + at,
            raw.data() + at,
            reply.wire.data() + at,
            share.delta.data() + at,
            count,
            gaits
        );
    });
    if (result.finite && !share.gaps.empty()) measure_gaps(share.delta, share.mine(), share.gaps);
    return result;
}

Difference F32Encoding::take_reply(ByteView reply, ByteView /*offered*/, const Share& share) const {
    STARLING_CHECK(share.delta.empty() || share.delta.size() == reply.size());
    if (!share.delta.empty()) std::memcpy(share.delta.data(), reply.data(), reply.size());
    const auto sums = measure(kMeasure.for_isa(isa_), reply);
    Difference result;
    result.finite = sums.finite;
    result.squared_distance = sums.squared_norm / (share.mine() * share.mine());
    if (result.finite && !share.gaps.empty()) measure_gaps(reply, share.mine(), share.gaps);
    return result;
}

void F32Encoding::encode(ByteView raw, std::span<std::byte> wire) const {
    STARLING_CHECK(raw.size() == wire.size());
    std::memcpy(wire.data(), raw.data(), raw.size());
}

Difference F32Encoding::difference(
    ByteView theirs, ByteView mine, double coefficient, std::span<std::byte> delta
) const {
    STARLING_CHECK(theirs.size() == mine.size() && delta.size() == mine.size());
    return sum_differences(kDifference.for_isa(isa_), theirs, mine, kWidth, coefficient, delta);
}

}  // namespace starling::gossip
