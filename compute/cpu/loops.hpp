#pragma once

// The operators that are one loop of ours rather than a library call. All work on flat spans, so
// any layout will do as long as the operands share it; padding is zero in and zero out.

#include <cstdint>
#include <span>

namespace starling::compute::cpu {

void relu(int threads, std::span<const float> x, std::span<float> y);

/// `dx` may be `dy`.
void relu_gradient(
    int threads, std::span<const float> dy, std::span<const float> y, std::span<float> dx
);
void add(int threads, std::span<const float> a, std::span<const float> b, std::span<float> y);

/// Shapes    x [N,O], y [O] = sum over N
void sum_rows(std::span<const float> x, std::span<float> y);

/// Shapes    scores and log_probabilities [N,C], labels [N] in [0, C); returns the mean loss
[[nodiscard]] float softmax_cross_entropy(
    int threads,
    std::span<const float> scores,
    std::span<const std::int32_t> labels,
    std::span<float> log_probabilities
);

/// dscores = (softmax - one at the label) / N
void softmax_cross_entropy_gradient(
    int threads,
    std::span<const float> log_probabilities,
    std::span<const std::int32_t> labels,
    std::span<float> dscores
);

}  // namespace starling::compute::cpu
