#include "compute/cpu/loops_pool.hpp"

#include <algorithm>

#include "compute/cpu/isa.hpp"

namespace starling::compute::cpu {

namespace {

/// The taps of one window, `inner` channels at a time.
STARLING_INLINE void pool_place(
    const MaxPoolShape& s,
    const float* __restrict x,
    float* __restrict y,
    std::int32_t* __restrict winners
) {
    for (std::int64_t i = 0; i < s.inner; ++i) {
        y[i] = x[i];
        winners[i] = 0;
    }
    std::int32_t tap = 0;
    for (std::int64_t r = 0; r < s.kernel_height; ++r) {
        for (std::int64_t c = 0; c < s.kernel_width; ++c, ++tap) {
            const float* __restrict from = x + (r * s.width + c) * s.inner;
#pragma omp simd
            for (std::int64_t i = 0; i < s.inner; ++i) {
                const float value = from[i];
                const float best = y[i];
                const std::int32_t held = winners[i];
                y[i] = value > best ? value : best;
                winners[i] = value > best ? tap : held;
            }
        }
    }
}

/// The window of nearly every net, its four taps in one pass.
STARLING_INLINE void pool_place_two(
    std::int64_t inner,
    const float* __restrict top,
    const float* __restrict bottom,
    float* __restrict y,
    std::int32_t* __restrict winners
) {
#pragma omp simd
    for (std::int64_t i = 0; i < inner; ++i) {
        const float a = top[i];
        const float b = top[inner + i];
        const float c = bottom[i];
        const float d = bottom[inner + i];
        const float upper = b > a ? b : a;
        const float lower = d > c ? d : c;
        const std::int32_t upper_tap = b > a ? 1 : 0;
        const std::int32_t lower_tap = d > c ? 3 : 2;
        y[i] = lower > upper ? lower : upper;
        winners[i] = lower > upper ? lower_tap : upper_tap;
    }
}

/// Writes all taps of one window.
STARLING_INLINE void spread_place(
    const MaxPoolShape& s,
    const float* __restrict dy,
    const std::int32_t* __restrict winners,
    float* __restrict dx
) {
    std::int32_t tap = 0;
    for (std::int64_t r = 0; r < s.kernel_height; ++r) {
        for (std::int64_t c = 0; c < s.kernel_width; ++c, ++tap) {
            float* __restrict to = dx + (r * s.width + c) * s.inner;
#pragma omp simd
            for (std::int64_t i = 0; i < s.inner; ++i) {
                const float slope = dy[i];
                to[i] = winners[i] == tap ? slope : 0.0F;
            }
        }
    }
}

/// One row of windows of 2 x 2.
STARLING_INLINE void pool_row_two(
    std::int64_t inner,
    std::int64_t columns,
    const float* top,
    const float* bottom,
    float* y,
    std::int32_t* winners
) {
    for (std::int64_t column = 0; column < columns; ++column) {
        const auto from = 2 * column * inner;
        const auto to = column * inner;
        pool_place_two(inner, top + from, bottom + from, y + to, winners + to);
    }
}

STARLING_INLINE void pool_row(
    const MaxPoolShape& s, const float* source, float* y, std::int32_t* winners
) {
    const auto columns = s.output_width();
    if (s.kernel_height != 2 || s.kernel_width != 2) {
        for (std::int64_t column = 0; column < columns; ++column) {
            const auto to = column * s.inner;
            pool_place(s, source + column * s.kernel_width * s.inner, y + to, winners + to);
        }
        return;
    }
    const float* below = source + s.width * s.inner;
    // A constant width makes each tap one vector.
    if (s.inner == 16) {
        pool_row_two(16, columns, source, below, y, winners);
    } else if (s.inner == 8) {
        pool_row_two(8, columns, source, below, y, winners);
    } else {
        pool_row_two(s.inner, columns, source, below, y, winners);
    }
}

STARLING_INLINE void spread_row_two(
    std::int64_t inner,
    std::int64_t columns,
    const float* __restrict dy,
    const std::int32_t* __restrict winners,
    float* __restrict top,
    float* __restrict bottom
) {
    for (std::int64_t column = 0; column < columns; ++column) {
        const auto to = 2 * column * inner;
#pragma omp simd
        for (std::int64_t i = 0; i < inner; ++i) {
            const float slope = dy[column * inner + i];
            const std::int32_t tap = winners[column * inner + i];
            top[to + i] = tap == 0 ? slope : 0.0F;
            top[to + inner + i] = tap == 1 ? slope : 0.0F;
            bottom[to + i] = tap == 2 ? slope : 0.0F;
            bottom[to + inner + i] = tap == 3 ? slope : 0.0F;
        }
    }
}

STARLING_INLINE void spread_row(
    const MaxPoolShape& s, const float* dy, const std::int32_t* winners, float* band
) {
    if (s.kernel_height == 2 && s.kernel_width == 2) {
        float* below = band + s.width * s.inner;
        if (s.inner == 16) {
            spread_row_two(16, s.output_width(), dy, winners, band, below);
        } else {
            spread_row_two(s.inner, s.output_width(), dy, winners, band, below);
        }
        return;
    }
    for (std::int64_t column = 0; column < s.output_width(); ++column) {
        const auto from = column * s.inner;
        float* window = band + column * s.kernel_width * s.inner;
        spread_place(s, dy + from, winners + from, window);
    }
}

}  // namespace

void max_pool(const MaxPoolShape& s, const float* x, float* y, std::int32_t* winners) {
    const auto rows = s.planes * s.output_height();
    const auto columns = s.output_width();
#pragma omp parallel for schedule(static) num_threads(s.threads)
    for (std::int64_t row = 0; row < rows; ++row) {
        const auto plane = row / s.output_height();
        const auto from = (plane * s.height + row % s.output_height() * s.kernel_height) * s.width;
        const auto to = row * columns * s.inner;
        vectorized<pool_row>(s, x + from * s.inner, y + to, winners + to);
    }
}

void max_pool_gradient(
    const MaxPoolShape& s, const float* dy, const std::int32_t* winners, float* dx
) {
    const auto out_rows = s.output_height();
    const auto columns = s.output_width();
    const auto line = s.width * s.inner;
    const auto covered = columns * s.kernel_width * s.inner;
#pragma omp parallel for schedule(static) num_threads(s.threads)
    for (std::int64_t plane = 0; plane < s.planes; ++plane) {
        float* target = dx + plane * s.height * line;
        for (std::int64_t row = 0; row < out_rows; ++row) {
            float* band = target + row * s.kernel_height * line;
            const auto from = (plane * out_rows + row) * columns * s.inner;
            vectorized<spread_row>(s, dy + from, winners + from, band);
            // What no window covers on the right and below has no slope.
            for (std::int64_t r = 0; covered < line && r < s.kernel_height; ++r) {
                std::fill(band + r * line + covered, band + (r + 1) * line, 0.0F);
            }
        }
        std::fill(target + out_rows * s.kernel_height * line, target + s.height * line, 0.0F);
    }
}

}  // namespace starling::compute::cpu
