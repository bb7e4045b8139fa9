#pragma once

// Operands whose elements are floats or bfloat16, the upper halves of floats. Our loops work on
// floats. An operand in bf16 is widened or narrowed strip by strip, while the strip is in the
// nearest cache. So memory traffic is two bytes for each element, and no loop needs a version for
// each mixture of types.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "base/simd.hpp"
#include "compute/simd/parallel.hpp"
#include "compute/values/small_floats.hpp"

namespace starling::compute {

/// A few strips of floats fit into a first-level cache of 32 KiB.
inline constexpr std::size_t kStripElements = 1024;

struct Source {
    const std::byte* data = nullptr;  ///< nullptr: an operand that is absent
    bool bf16 = false;

    [[nodiscard]] const float* floats() const { return reinterpret_cast<const float*>(data); }

    [[nodiscard]] const std::uint16_t* halves() const {
        return reinterpret_cast<const std::uint16_t*>(data);
    }
};

struct Sink {
    std::byte* data = nullptr;
    bool bf16 = false;

    [[nodiscard]] float* floats() const { return reinterpret_cast<float*>(data); }

    [[nodiscard]] std::uint16_t* halves() const { return reinterpret_cast<std::uint16_t*>(data); }
};

STARLING_INLINE void widen(const std::uint16_t* x, float* y, std::size_t count) {
#pragma omp simd
    for (std::size_t i = 0; i < count; ++i) y[i] = widened(x[i]);
}

namespace detail {

/// Returns true when this processor has an instruction that rounds to bf16. Loops compiled for
/// fewer instructions reach it by a call. It reads denormal floats as zeros.
[[nodiscard]] bool can_narrow();
void narrow_native(const float* x, std::uint16_t* y, std::size_t count);

}  // namespace detail

STARLING_INLINE void narrow(const float* x, std::uint16_t* y, std::size_t count) {
    if (detail::can_narrow()) {
        detail::narrow_native(x, y, count);
        return;
    }
#pragma omp simd
    for (std::size_t i = 0; i < count; ++i) y[i] = narrowed(x[i]);
}

/// Returns `count` elements from `at` on as floats: where they lie, or widened into `buffer`.
STARLING_INLINE const float* read_strip(
    const Source& from, std::size_t at, std::size_t count, float* buffer
) {
    if (!from.bf16) return from.floats() + at;
    widen(from.halves() + at, buffer, count);
    return buffer;
}

/// Returns where to write elements as floats before finish_strip().
STARLING_INLINE float* begin_strip(const Sink& to, std::size_t at, float* buffer) {
    return to.bf16 ? buffer : to.floats() + at;
}

STARLING_INLINE void finish_strip(
    const Sink& to, std::size_t at, std::size_t count, const float* buffer
) {
    if (to.bf16) narrow(buffer, to.halves() + at, count);
}

/// Calls body(inputs, output, length) for pieces of the operands, as floats, from several threads,
/// until all `count` elements are done. The output may be one of the inputs if both have one type.
template <std::size_t N, class Body>
void over_strips(
    int threads,
    std::size_t count,
    const std::array<Source, N>& from,
    const Sink& to,
    const Body& body
) {
    const bool exact = !to.bf16 && std::none_of(from.begin(), from.end(), [](const Source& source) {
        return source.bf16;
    });
    parallel_ranges(threads, count, [&](std::size_t begin, std::size_t end) {
        alignas(64) float buffers[N + 1][kStripElements];
        const auto longest = exact ? end - begin : kStripElements;
        for (auto at = begin; at < end; at += longest) {
            const auto length = std::min(longest, end - at);
            std::array<const float*, N> inputs{};
            for (std::size_t i = 0; i < N; ++i) {
                inputs[i] = vectorized<read_strip>(from[i], at, length, buffers[i]);
            }
            float* output = begin_strip(to, at, buffers[N]);
            body(inputs, output, length);
            vectorized<finish_strip>(to, at, length, buffers[N]);
        }
    });
}

}  // namespace starling::compute
