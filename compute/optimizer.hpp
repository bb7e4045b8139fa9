#pragma once

// SGD and AdamW over the store's chunks: one fused pass over gradient, state and weights, under
// each chunk's lock.

#include <cstdint>
#include <span>
#include <vector>

#include "compute/parameter_store.hpp"
#include "compute/schedule.hpp"

namespace starling::compute {

struct SgdSettings {
    float learning_rate = 0.0F;
    float momentum = 0.0F;
    float weight_decay = 0.0F;
    bool nesterov = false;
    float gradient_scale = 1.0F;
};

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

struct AdamSettings {
    float learning_rate = 0.0F;
    float beta1 = 0.9F;
    float beta2 = 0.999F;
    float epsilon = 1e-8F;
    float weight_decay = 0.0F;
    float gradient_scale = 1.0F;
    double step = 1.0;  ///< of this update; the first is 1
};

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

/// Thread    compute
class Optimizer {
public:
    Optimizer(const OptimizerSpec& spec, const ParameterLayout& layout, int threads);

    /// Applies the gradient, flat in the store's order, to every weight chunk. Buffers stay. With
    /// accumulation only every so many calls change the weights.
    void step(ParameterStore& store, std::span<const float> gradient, double learning_rate);

    /// In the store's order: momentum for SGD; means, squares, and then the number of updates for
    /// AdamW. A gradient that is not yet applied is not part of it: after a restart it is lost.
    [[nodiscard]] std::span<const float> state() const { return state_; }

    /// Requires  state.size() == state().size()
    void restore(std::span<const float> state);

private:
    /// Returns the gradient to apply now, empty while it still accumulates.
    [[nodiscard]] std::span<const float> gathered(std::span<const float> gradient);

    [[nodiscard]] bool adam() const { return spec_.name == "adamw"; }

    OptimizerSpec spec_;
    int threads_;
    std::size_t elements_;
    std::vector<float> state_;
    std::vector<float> sum_;      ///< of gradients, when accumulating
    std::uint64_t gathered_ = 0;  ///< gradients in it
};

}  // namespace starling::compute
