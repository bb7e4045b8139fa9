#include "compute/cpu/loops/pool.hpp"

#include <algorithm>
#include <bit>
#include <type_traits>

#include "base/simd.hpp"

namespace starling::compute::cpu {

namespace {

STARLING_INLINE float value_of(float x) {
    return x;
}

STARLING_INLINE float value_of(std::uint16_t x) {
    return widened(x);
}

/// Returns the value as a T, which it already is: nothing is rounded.
template <class T>
STARLING_INLINE T as(float x) {
    if constexpr (std::is_same_v<T, float>) {
        return x;
    } else {
        return static_cast<T>(std::bit_cast<std::uint32_t>(x) >> 16U);
    }
}

template <class T>
STARLING_INLINE bool above(T a, T b) {
    return value_of(a) > value_of(b);
}

/// The taps of one window, `inner` channels at a time.
template <class T>
STARLING_INLINE void pool_place(
    const MaxPoolShape& s, const T* __restrict x, T* __restrict y, std::int32_t* __restrict winners
) {
    for (std::int64_t i = 0; i < s.inner; ++i) {
        y[i] = x[i];
        winners[i] = 0;
    }
    std::int32_t tap = 0;
    for (std::int64_t r = 0; r < s.kernel_height; ++r) {
        for (std::int64_t c = 0; c < s.kernel_width; ++c, ++tap) {
            const T* __restrict from = x + (r * s.width + c) * s.inner;
#pragma omp simd
            for (std::int64_t i = 0; i < s.inner; ++i) {
                const T value = from[i];
                const T best = y[i];
                const std::int32_t held = winners[i];
                const bool wins = above(value, best);
                y[i] = wins ? value : best;
                winners[i] = wins ? tap : held;
            }
        }
    }
}

/// Windows of 2 x 2, which nearly every net has: all four taps in one pass.
template <class T>
STARLING_INLINE void pool_place_two(
    std::int64_t inner,
    const T* __restrict top,
    const T* __restrict bottom,
    T* __restrict y,
    std::int32_t* __restrict winners
) {
#pragma omp simd
    for (std::int64_t i = 0; i < inner; ++i) {
        const float a = value_of(top[i]);
        const float b = value_of(top[inner + i]);
        const float c = value_of(bottom[i]);
        const float d = value_of(bottom[inner + i]);
        const float upper = b > a ? b : a;
        const float lower = d > c ? d : c;
        const std::int32_t upper_tap = b > a ? 1 : 0;
        const std::int32_t lower_tap = d > c ? 3 : 2;
        y[i] = as<T>(lower > upper ? lower : upper);
        winners[i] = lower > upper ? lower_tap : upper_tap;
    }
}

/// Writes all taps of one window.
template <class T>
STARLING_INLINE void spread_place(
    const MaxPoolShape& s,
    const T* __restrict dy,
    const std::int32_t* __restrict winners,
    T* __restrict dx
) {
    std::int32_t tap = 0;
    for (std::int64_t r = 0; r < s.kernel_height; ++r) {
        for (std::int64_t c = 0; c < s.kernel_width; ++c, ++tap) {
            T* __restrict to = dx + (r * s.width + c) * s.inner;
#pragma omp simd
            for (std::int64_t i = 0; i < s.inner; ++i) {
                const T slope = dy[i];
                to[i] = winners[i] == tap ? slope : T{0};
            }
        }
    }
}

/// One row of windows of 2 x 2.
template <class T>
STARLING_INLINE void pool_row_two(
    std::int64_t inner,
    std::int64_t columns,
    const T* top,
    const T* bottom,
    T* y,
    std::int32_t* winners
) {
    for (std::int64_t column = 0; column < columns; ++column) {
        const auto from = 2 * column * inner;
        const auto to = column * inner;
        pool_place_two(inner, top + from, bottom + from, y + to, winners + to);
    }
}

template <class T>
STARLING_INLINE void pool_row(const MaxPoolShape& s, const T* source, T* y, std::int32_t* winners) {
    const auto columns = s.output_width();
    if (s.kernel_height != 2 || s.kernel_width != 2) {
        for (std::int64_t column = 0; column < columns; ++column) {
            const auto to = column * s.inner;
            pool_place(s, source + column * s.kernel_width * s.inner, y + to, winners + to);
        }
        return;
    }
    const T* below = source + s.width * s.inner;
    // A constant width makes each tap one vector.
    if (s.inner == 16) {
        pool_row_two(16, columns, source, below, y, winners);
    } else if (s.inner == 8) {
        pool_row_two(8, columns, source, below, y, winners);
    } else {
        pool_row_two(s.inner, columns, source, below, y, winners);
    }
}

template <class T>
STARLING_INLINE void spread_row_two(
    std::int64_t inner,
    std::int64_t columns,
    const T* __restrict dy,
    const std::int32_t* __restrict winners,
    T* __restrict top,
    T* __restrict bottom
) {
    for (std::int64_t column = 0; column < columns; ++column) {
        const auto to = 2 * column * inner;
#pragma omp simd
        for (std::int64_t i = 0; i < inner; ++i) {
            const T slope = dy[column * inner + i];
            const std::int32_t tap = winners[column * inner + i];
            top[to + i] = tap == 0 ? slope : T{0};
            top[to + inner + i] = tap == 1 ? slope : T{0};
            bottom[to + i] = tap == 2 ? slope : T{0};
            bottom[to + inner + i] = tap == 3 ? slope : T{0};
        }
    }
}

template <class T>
STARLING_INLINE void spread_row(
    const MaxPoolShape& s, const T* dy, const std::int32_t* winners, T* band
) {
    if (s.kernel_height == 2 && s.kernel_width == 2) {
        T* below = band + s.width * s.inner;
        if (s.inner == 16) {
            spread_row_two(16, s.output_width(), dy, winners, band, below);
        } else {
            spread_row_two(s.inner, s.output_width(), dy, winners, band, below);
        }
        return;
    }
    for (std::int64_t column = 0; column < s.output_width(); ++column) {
        const auto from = column * s.inner;
        T* window = band + column * s.kernel_width * s.inner;
        spread_place(s, dy + from, winners + from, window);
    }
}

template <class T>
void pool_planes(const MaxPoolShape& s, const T* x, T* y, std::int32_t* winners) {
    const auto rows = s.planes * s.output_height();
    const auto columns = s.output_width();
#pragma omp parallel for schedule(static) num_threads(s.threads)
    for (std::int64_t row = 0; row < rows; ++row) {
        const auto plane = row / s.output_height();
        const auto from = (plane * s.height + row % s.output_height() * s.kernel_height) * s.width;
        const auto to = row * columns * s.inner;
        vectorized<pool_row<T>>(s, x + from * s.inner, y + to, winners + to);
    }
}

template <class T>
void spread_planes(const MaxPoolShape& s, const T* dy, const std::int32_t* winners, T* dx) {
    const auto out_rows = s.output_height();
    const auto columns = s.output_width();
    const auto line = s.width * s.inner;
    const auto covered = columns * s.kernel_width * s.inner;
#pragma omp parallel for schedule(static) num_threads(s.threads)
    for (std::int64_t plane = 0; plane < s.planes; ++plane) {
        T* target = dx + plane * s.height * line;
        for (std::int64_t row = 0; row < out_rows; ++row) {
            T* band = target + row * s.kernel_height * line;
            const auto from = (plane * out_rows + row) * columns * s.inner;
            vectorized<spread_row<T>>(s, dy + from, winners + from, band);
            // Elements on the right and below that no window covers have slope zero.
            for (std::int64_t r = 0; covered < line && r < s.kernel_height; ++r) {
                std::fill(band + r * line + covered, band + (r + 1) * line, T{0});
            }
        }
        std::fill(target + out_rows * s.kernel_height * line, target + s.height * line, T{0});
    }
}

}  // namespace

void max_pool(const MaxPoolShape& s, const Source& x, const Sink& y, std::int32_t* winners) {
    if (x.bf16) {
        pool_planes(s, x.halves(), y.halves(), winners);
    } else {
        pool_planes(s, x.floats(), y.floats(), winners);
    }
}

void max_pool_gradient(
    const MaxPoolShape& s, const Source& dy, const std::int32_t* winners, const Sink& dx
) {
    if (dy.bf16) {
        spread_planes(s, dy.halves(), winners, dx.halves());
    } else {
        spread_planes(s, dy.floats(), winners, dx.floats());
    }
}

}  // namespace starling::compute::cpu
