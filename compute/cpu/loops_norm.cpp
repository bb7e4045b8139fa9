#include "compute/cpu/loops_norm.hpp"

#include <algorithm>
#include <cmath>

#include "compute/cpu/fast_math.hpp"
#include "compute/cpu/parallel.hpp"

namespace starling::compute::cpu {

namespace {

/// Calls body(row) for each row, shared out among the threads when there is enough to do.
template <class Body>
void for_rows(int threads, std::int64_t rows, std::int64_t width, const Body& body) {
    if (threads == 1 || static_cast<std::size_t>(rows * width) < kParallelElementsMin) {
        for (std::int64_t row = 0; row < rows; ++row) body(row);
        return;
    }
#pragma omp parallel for schedule(static) num_threads(threads)
    for (std::int64_t row = 0; row < rows; ++row) body(row);
}

/// Where a row of the cut begins; its elements lie `inner` apart.
std::int64_t start_of(const Cut& cut, std::int64_t row) {
    return row / cut.inner * cut.length * cut.inner + row % cut.inner;
}

void dense_softmax(bool logarithm, std::int64_t n, const float* x, float* y) {
    const float top = *std::max_element(x, x + n);
    float sum = 0.0F;
    if (logarithm) {
#pragma omp simd reduction(+ : sum)
        for (std::int64_t i = 0; i < n; ++i) sum += fast_exp(x[i] - top);
        const float shift = top + std::log(sum);
#pragma omp simd
        for (std::int64_t i = 0; i < n; ++i) y[i] = x[i] - shift;
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
    const float shift = top + std::log(sum);
    for (std::int64_t i = 0; i < cut.length; ++i) {
        const float value = x[i * cut.inner] - shift;
        y[i * cut.inner] = logarithm ? value : fast_exp(value);
    }
}

}  // namespace

void softmax(int threads, bool logarithm, const Cut& cut, const float* x, float* y) {
    for_rows(threads, cut.outer * cut.inner, cut.length, [&](std::int64_t row) {
        const auto at = start_of(cut, row);
        if (cut.inner == 1) {
            dense_softmax(logarithm, cut.length, x + at, y + at);
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
    float* y,
    float* mean,
    float* inverse
) {
    const auto n = shape.width;
    const float share = 1.0F / static_cast<float>(n);
    for_rows(shape.threads, shape.rows, n, [&](std::int64_t row) {
        const float* from = x + row * n;
        float* to = y + row * n;
        float sum = 0.0F;
#pragma omp simd reduction(+ : sum)
        for (std::int64_t i = 0; i < n; ++i) sum += from[i];
        const float centre = sum * share;
        float squares = 0.0F;
#pragma omp simd reduction(+ : squares)
        for (std::int64_t i = 0; i < n; ++i) {
            squares += (from[i] - centre) * (from[i] - centre);
        }
        const float factor = 1.0F / std::sqrt(squares * share + shape.epsilon);
        mean[row] = centre;
        inverse[row] = factor;
        for (std::int64_t i = 0; i < n; ++i) {
            const float z = (from[i] - centre) * factor;
            to[i] = (scale == nullptr ? z : z * scale[i]) + (bias == nullptr ? 0.0F : bias[i]);
        }
    });
}

namespace {

void weight_gradients(
    const LayerNorm& shape, const LayerNormOperands& in, float* dscale, float* dbias
) {
    const auto n = shape.width;
    // Threads share the columns, so that no two add to one sum.
    const auto width = static_cast<std::size_t>(n);
    const int threads =
        static_cast<std::size_t>(shape.rows * n) < kParallelElementsMin ? 1 : shape.threads;
    const auto block = (width / static_cast<std::size_t>(threads) + 15) / 16 * 16 + 16;
    const auto blocks = (width + block - 1) / block;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (std::size_t b = 0; b < blocks; ++b) {
        const auto begin = b * block;
        const auto end = std::min(width, begin + block);
        std::fill(dscale + begin, dscale + end, 0.0F);
        std::fill(dbias + begin, dbias + end, 0.0F);
        for (std::int64_t row = 0; row < shape.rows; ++row) {
            const float* dy = in.dy + row * n;
            const float* x = in.x + row * n;
            const float centre = in.mean[row];
            const float factor = in.inverse[row];
#pragma omp simd
            for (std::size_t i = begin; i < end; ++i) {
                dscale[i] += dy[i] * (x[i] - centre) * factor;
                dbias[i] += dy[i];
            }
        }
    }
}

}  // namespace

void layer_norm_gradient(
    const LayerNorm& shape, const LayerNormOperands& in, float* dx, float* dscale, float* dbias
) {
    if (dscale != nullptr) weight_gradients(shape, in, dscale, dbias);
    const auto n = shape.width;
    const float share = 1.0F / static_cast<float>(n);
    for_rows(shape.threads, shape.rows, n, [&](std::int64_t row) {
        const float* dy = in.dy + row * n;
        const float* x = in.x + row * n;
        const float centre = in.mean[row];
        const float factor = in.inverse[row];
        const float* scale = in.scale;
        float plain = 0.0F;
        float slanted = 0.0F;
#pragma omp simd reduction(+ : plain, slanted)
        for (std::int64_t i = 0; i < n; ++i) {
            const float g = scale == nullptr ? dy[i] : dy[i] * scale[i];
            plain += g;
            slanted += g * (x[i] - centre);
        }
        const float level = plain * share;
        const float slope = slanted * share * factor * factor;
        float* to = dx + row * n;
#pragma omp simd
        for (std::int64_t i = 0; i < n; ++i) {
            const float g = scale == nullptr ? dy[i] : dy[i] * scale[i];
            to[i] = (g - level - (x[i] - centre) * slope) * factor;
        }
    });
}

}  // namespace starling::compute::cpu
