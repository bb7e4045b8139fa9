#pragma once

// Operators that are one loop of ours rather than a library call. Most work on flat operands and
// take any layout, as long as all operands have the same one. Padding is zero in the operands and
// becomes zero in the result.

#include <cstddef>
#include <cstdint>
#include <span>

#include "compute/simd/strips.hpp"
#include "compute/values/dropout.hpp"

namespace starling::compute::cpu {

void relu(int threads, std::size_t count, const Source& x, const Sink& y);

/// `dx` may be `dy`.
void relu_gradient(
    int threads, std::size_t count, const Source& dy, const Source& y, const Sink& dx
);

/// dx = a + b where y > 0, else 0, for a slope that is the sum a + b. `dx` may be `a`.
void relu_gradient_of_sum(
    int threads,
    std::size_t count,
    const Source& a,
    const Source& b,
    const Source& y,
    const Sink& dx
);

/// y = a + b, or with `cut` y = max(a + b, 0). `y` may be `a`.
void add(int threads, std::size_t count, bool cut, const Source& a, const Source& b, const Sink& y);

/// Writes the mask's factors, and y = x * factors. `y` may be `x`.
void dropout(
    int threads,
    const DropoutMask& mask,
    std::span<const float> x,
    std::span<float> factors,
    std::span<float> y
);

/// Adds up the rows of x [rows, width].
void sum_rows(int threads, std::int64_t rows, std::int64_t width, const Source& x, float* sums);

struct LossSettings {
    int threads = 1;
    float smoothing = 0.0F;
    std::int32_t ignore = -100;      ///< this label is ignored, and so is any that is no class
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

/// Return how many labels the answers have right; see the operator Score.
/// Shapes    answers [N,C], labels [N]; or two of one shape
[[nodiscard]] std::int32_t right_classes(
    int threads, std::span<const float> answers, std::span<const std::int32_t> labels
);
[[nodiscard]] std::int32_t right_labels(
    int threads, std::span<const float> answers, std::span<const float> targets
);

}  // namespace starling::compute::cpu
