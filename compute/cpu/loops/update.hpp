#pragma once

// Updates of weights and norms of gradients.

#include <span>

#include "compute/values/update.hpp"

namespace starling::compute::cpu {

/// With g the scaled gradient plus weight_decay * w:  m = momentum * m + g;  w -= lr * m, or
/// w -= lr * (g + momentum * m) for Nesterov's form.
///
/// Shapes    three spans of one length
/// Errors    none
/// Thread    any (pure)
/// Source    PyTorch's torch.optim.SGD without dampening: the learning rate stays outside the
///           momentum
void sgd_update(
    const SgdSettings& settings,
    std::span<const float> gradient,
    std::span<float> momentum,
    std::span<float> weights
);

/// m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;  w shrinks by lr * weight_decay and
/// moves by -lr * m' / (sqrt(v') + epsilon), with m' and v' free of their start at zero.
///
/// Shapes    four spans of one length
/// Errors    none
/// Thread    any (pure)
/// Source    Loshchilov and Hutter, "Decoupled Weight Decay Regularization" (arXiv 1711.05101),
///           algorithm 2; the rate multiplies the decay, as in PyTorch's AdamW
void adamw_update(
    const AdamSettings& settings,
    std::span<const float> gradient,
    std::span<float> mean,
    std::span<float> square,
    std::span<float> weights
);

/// Returns the Euclidean norm, summed in double.
[[nodiscard]] double gradient_norm(std::span<const float> gradient, int threads);

/// sum += share * gradient, or sum = share * gradient when `fresh`.
void accumulate(
    bool fresh, float share, std::span<const float> gradient, std::span<float> sum, int threads
);

}  // namespace starling::compute::cpu
