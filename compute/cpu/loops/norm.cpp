#include "compute/cpu/loops/norm.hpp"

#include <algorithm>
#include <cmath>

#include "base/simd.hpp"
#include "compute/cpu/loops/fast_math.hpp"
#include "compute/simd/parallel.hpp"

namespace starling::compute::cpu {

namespace {

/// Calls body(row) for each row, from several threads when there is enough to do.
template <class Body>
void for_rows(int threads, std::int64_t rows, std::int64_t width, const Body& body) {
    if (threads == 1 || static_cast<std::size_t>(rows * width) < kParallelElementsMin) {
        for (std::int64_t row = 0; row < rows; ++row) body(row);
        return;
    }
#pragma omp parallel for schedule(static) num_threads(threads)
    for (std::int64_t row = 0; row < rows; ++row) body(row);
}

/// Returns where a row of the cut begins; its elements are `inner` apart.
std::int64_t start_of(const Cut& cut, std::int64_t row) {
    return row / cut.inner * cut.length * cut.inner + row % cut.inner;
}

STARLING_INLINE void dense_softmax(bool logarithm, std::int64_t n, const float* x, float* y) {
    float top = x[0];
#pragma omp simd reduction(max : top)
    for (std::int64_t i = 0; i < n; ++i) top = x[i] > top ? x[i] : top;
    float sum = 0.0F;
    if (logarithm) {
#pragma omp simd reduction(+ : sum)
        for (std::int64_t i = 0; i < n; ++i) sum += fast_exp(x[i] - top);
        // First the maximum, then the logarithm: their sum would round the logarithm away where all
        // scores are large.
        const float rest = std::log(sum);
#pragma omp simd
        for (std::int64_t i = 0; i < n; ++i) y[i] = (x[i] - top) - rest;
        return;
    }
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = 0; i < n; ++i) {
        const float e = fast_exp(x[i] - top);
        y[i] = e;
        sum += e;
    }
    const float share = 1.0F / sum;
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) y[i] *= share;
}

void spaced_softmax(bool logarithm, const Cut& cut, const float* x, float* y) {
    float top = x[0];
    for (std::int64_t i = 1; i < cut.length; ++i) top = std::max(top, x[i * cut.inner]);
    float sum = 0.0F;
    for (std::int64_t i = 0; i < cut.length; ++i) sum += fast_exp(x[i * cut.inner] - top);
    const float rest = std::log(sum);
    for (std::int64_t i = 0; i < cut.length; ++i) {
        const float value = (x[i * cut.inner] - top) - rest;
        y[i * cut.inner] = logarithm ? value : fast_exp(value);
    }
}

/// One row, whose first element is the operands' element `at`.
STARLING_INLINE void layer_norm_row(
    const LayerNorm& shape,
    std::int64_t at,
    const float* all,
    const float* scale,
    const float* bias,
    const Sink& y,
    float* mean,
    float* inverse
) {
    constexpr auto kStrip = static_cast<std::int64_t>(kStripElements);
    const float* x = all + at;
    const auto n = shape.width;
    const float share = 1.0F / static_cast<float>(n);
    float sum = 0.0F;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = 0; i < n; ++i) sum += x[i];
    const float centre = sum * share;
    float squares = 0.0F;
#pragma omp simd reduction(+ : squares)
    for (std::int64_t i = 0; i < n; ++i) squares += (x[i] - centre) * (x[i] - centre);
    const float factor = 1.0F / std::sqrt(squares * share + shape.epsilon);
    *mean = centre;
    *inverse = factor;
    const auto row = static_cast<std::size_t>(at);
    for (std::int64_t begin = 0; begin < n; begin += kStrip) {
        const auto count = std::min(kStrip, n - begin);
        float buffer[kStripElements];
        float* to = begin_strip(y, row + static_cast<std::size_t>(begin), buffer);
        const float* from = x + begin;
        if (scale != nullptr && bias != nullptr) {
            const float* by = scale + begin;
            const float* plus = bias + begin;
#pragma omp simd
            for (std::int64_t i = 0; i < count; ++i) {
                to[i] = (from[i] - centre) * factor * by[i] + plus[i];
            }
        } else {
            for (std::int64_t i = 0; i < count; ++i) {
                const float z = (from[i] - centre) * factor;
                to[i] = (scale == nullptr ? z : z * scale[begin + i]) +
                        (bias == nullptr ? 0.0F : bias[begin + i]);
            }
        }
        finish_strip(
            y, row + static_cast<std::size_t>(begin), static_cast<std::size_t>(count), buffer
        );
    }
}

/// Writes the slope of one row, and adds to the slopes of scale and bias unless these are nullptr.
STARLING_INLINE void layer_norm_gradient_row(
    const LayerNormOperands& in,
    std::int64_t n,
    std::int64_t row,
    float* dx,
    float* __restrict dscale,
    float* __restrict dbias
) {
    const float* dy = in.dy + row * n;
    const float* __restrict x = in.x + row * n;
    const float* __restrict scale = in.scale;
    const float centre = in.mean[row];
    const float factor = in.inverse[row];
    float plain = 0.0F;
    float slanted = 0.0F;
    if (scale != nullptr) {
#pragma omp simd reduction(+ : plain, slanted)
        for (std::int64_t i = 0; i < n; ++i) {
            plain += dy[i] * scale[i];
            slanted += dy[i] * scale[i] * (x[i] - centre);
        }
    } else {
#pragma omp simd reduction(+ : plain, slanted)
        for (std::int64_t i = 0; i < n; ++i) {
            plain += dy[i];
            slanted += dy[i] * (x[i] - centre);
        }
    }
    const float share = 1.0F / static_cast<float>(n);
    const float level = plain * share;
    const float slope = slanted * share * factor * factor;
    if (dscale != nullptr) {
#pragma omp simd
        for (std::int64_t i = 0; i < n; ++i) {
            dscale[i] += dy[i] * (x[i] - centre) * factor;
            dbias[i] += dy[i];
        }
    }
    if (scale != nullptr) {
#pragma omp simd
        for (std::int64_t i = 0; i < n; ++i) {
            dx[i] = (dy[i] * scale[i] - level - (x[i] - centre) * slope) * factor;
        }
    } else {
#pragma omp simd
        for (std::int64_t i = 0; i < n; ++i) {
            dx[i] = (dy[i] - level - (x[i] - centre) * slope) * factor;
        }
    }
}

STARLING_INLINE void layer_norm_gradient_rows(
    const LayerNormOperands& in,
    std::int64_t n,
    std::int64_t begin,
    std::int64_t end,
    float* dx,
    float* dscale,
    float* dbias
) {
    for (auto row = begin; row < end; ++row) {
        layer_norm_gradient_row(in, n, row, dx + row * n, dscale, dbias);
    }
}

}  // namespace

void softmax(int threads, bool logarithm, const Cut& cut, const float* x, float* y) {
    for_rows(threads, cut.outer * cut.inner, cut.length, [&](std::int64_t row) {
        const auto at = start_of(cut, row);
        if (cut.inner == 1) {
            vectorized<dense_softmax>(logarithm, cut.length, x + at, y + at);
        } else {
            spaced_softmax(logarithm, cut, x + at, y + at);
        }
    });
}

void softmax_gradient(
    int threads, bool logarithm, const Cut& cut, const float* dy, const float* y, float* dx
) {
    for_rows(threads, cut.outer * cut.inner, cut.length, [&](std::int64_t row) {
        const auto at = start_of(cut, row);
        float sum = 0.0F;
        for (std::int64_t i = 0; i < cut.length; ++i) {
            const auto k = at + i * cut.inner;
            sum += logarithm ? dy[k] : dy[k] * y[k];
        }
        for (std::int64_t i = 0; i < cut.length; ++i) {
            const auto k = at + i * cut.inner;
            dx[k] = logarithm ? dy[k] - fast_exp(y[k]) * sum : y[k] * (dy[k] - sum);
        }
    });
}

void layer_norm(
    const LayerNorm& shape,
    const float* x,
    const float* scale,
    const float* bias,
    const Sink& y,
    float* mean,
    float* inverse
) {
    const auto n = shape.width;
    for_rows(shape.threads, shape.rows, n, [&](std::int64_t row) {
        vectorized<layer_norm_row>(shape, row * n, x, scale, bias, y, mean + row, inverse + row);
    });
}

void layer_norm_gradient(
    const LayerNorm& shape,
    const LayerNormOperands& in,
    float* dx,
    float* dscale,
    float* dbias,
    float* scratch
) {
    const auto n = shape.width;
    const bool small = static_cast<std::size_t>(shape.rows * n) < kParallelElementsMin;
    const int threads = small ? 1 : shape.threads;
    const auto share = (shape.rows + threads - 1) / threads;
    // Each thread sums the slopes of scale and bias over its own rows; then the sums are added up.
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int part = 0; part < threads; ++part) {
        const auto begin = std::min(shape.rows, part * share);
        const auto end = std::min(shape.rows, begin + share);
        float* own = dscale == nullptr ? nullptr : scratch + part * 2 * n;
        if (own != nullptr) std::fill(own, own + 2 * n, 0.0F);
        float* own_bias = own == nullptr ? nullptr : own + n;
        vectorized<layer_norm_gradient_rows>(in, n, begin, end, dx, own, own_bias);
    }
    if (dscale == nullptr) return;
    std::copy(scratch, scratch + n, dscale);
    std::copy(scratch + n, scratch + 2 * n, dbias);
    for (int part = 1; part < threads; ++part) {
        const float* own = scratch + part * 2 * n;
        for (std::int64_t i = 0; i < n; ++i) dscale[i] += own[i];
        for (std::int64_t i = 0; i < n; ++i) dbias[i] += own[n + i];
    }
}

}  // namespace starling::compute::cpu
