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

/// dx = the slope a + b where y > 0; `dx` may be `a`.
void relu_gradient_of_sum(
    int threads,
    std::span<const float> a,
    std::span<const float> b,
    std::span<const float> y,
    std::span<float> dx
);

struct LossSettings {
    int threads = 1;
    float smoothing = 0.0F;
    std::int32_t ignore = -100;      ///< labels that are no class are ignored as well
    std::span<const float> weights;  ///< of the classes; empty for ones
};

/// Shapes    scores and log_probabilities [N,C], labels [N]; returns the mean loss
[[nodiscard]] float softmax_cross_entropy(
    const LossSettings& settings,
    std::span<const float> scores,
    std::span<const std::int32_t> labels,
    std::span<float> log_probabilities
);

void softmax_cross_entropy_gradient(
    const LossSettings& settings,
    std::span<const float> log_probabilities,
    std::span<const std::int32_t> labels,
    std::span<float> dscores
);

}  // namespace starling::compute::cpu
