#include "compute/cpu/loops.hpp"

#include <algorithm>
#include <cmath>

#include "compute/cpu/parallel.hpp"

namespace starling::compute::cpu {

// The loops read both operands before they choose: a conditional load would keep the compiler from
// using vectors. `omp simd` says that equal indices are the only aliasing.

void relu(int threads, std::span<const float> x, std::span<float> y) {
    parallel_ranges(threads, y.size(), [&](std::size_t begin, std::size_t end) {
        const float* from = x.data();
        float* to = y.data();
#pragma omp simd
        for (std::size_t i = begin; i < end; ++i) to[i] = std::max(from[i], 0.0F);
    });
}

void relu_gradient(
    int threads, std::span<const float> dy, std::span<const float> y, std::span<float> dx
) {
    parallel_ranges(threads, dx.size(), [&](std::size_t begin, std::size_t end) {
        const float* from = dy.data();
        const float* sign = y.data();
        float* to = dx.data();
#pragma omp simd
        for (std::size_t i = begin; i < end; ++i) {
            const float slope = from[i];
            to[i] = sign[i] > 0.0F ? slope : 0.0F;
        }
    });
}

void add(int threads, std::span<const float> a, std::span<const float> b, std::span<float> y) {
    parallel_ranges(threads, y.size(), [&](std::size_t begin, std::size_t end) {
        const float* left = a.data();
        const float* right = b.data();
        float* to = y.data();
#pragma omp simd
        for (std::size_t i = begin; i < end; ++i) to[i] = left[i] + right[i];
    });
}

void sum_rows(std::span<const float> x, std::span<float> y) {
    std::fill(y.begin(), y.end(), 0.0F);
    for (std::size_t row = 0; row < x.size(); row += y.size()) {
        const float* __restrict from = x.data() + row;
        float* __restrict to = y.data();
        for (std::size_t i = 0; i < y.size(); ++i) to[i] += from[i];
    }
}

float softmax_cross_entropy(
    int threads,
    std::span<const float> scores,
    std::span<const std::int32_t> labels,
    std::span<float> log_probabilities
) {
    const std::size_t classes = scores.size() / labels.size();
    parallel_ranges(threads, labels.size(), [&](std::size_t begin, std::size_t end) {
        for (std::size_t n = begin; n < end; ++n) {
            const auto row = scores.subspan(n * classes, classes);
            const float top = *std::max_element(row.begin(), row.end());
            float sum = 0.0F;
            for (const float score : row) sum += std::exp(score - top);
            const float shift = top + std::log(sum);
            for (std::size_t c = 0; c < classes; ++c) {
                log_probabilities[n * classes + c] = row[c] - shift;
            }
        }
    });
    double loss = 0.0;
    for (std::size_t n = 0; n < labels.size(); ++n) {
        loss -=
            static_cast<double>(log_probabilities[n * classes + static_cast<std::size_t>(labels[n])]
            );
    }
    return static_cast<float>(loss / static_cast<double>(labels.size()));
}

void softmax_cross_entropy_gradient(
    int threads,
    std::span<const float> log_probabilities,
    std::span<const std::int32_t> labels,
    std::span<float> dscores
) {
    const std::size_t classes = dscores.size() / labels.size();
    const float share = 1.0F / static_cast<float>(labels.size());
    parallel_ranges(threads, dscores.size(), [&](std::size_t begin, std::size_t end) {
        for (std::size_t i = begin; i < end; ++i) {
            dscores[i] = share * std::exp(log_probabilities[i]);
        }
    });
    for (std::size_t n = 0; n < labels.size(); ++n) {
        dscores[n * classes + static_cast<std::size_t>(labels[n])] -= share;
    }
}

}  // namespace starling::compute::cpu
