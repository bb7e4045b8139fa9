#pragma once

// Stochastic gradient descent over the store's chunks: one fused pass over gradient, momentum and
// weights, under each chunk's lock.

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
};

/// With g the gradient plus weight_decay * w:  m = momentum * m + g;  w -= lr * m, or
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

/// Thread    compute
class Optimizer {
public:
    Optimizer(const OptimizerSpec& spec, const ParameterLayout& layout, int threads);

    /// Applies the gradient, flat in the store's order, to every weight chunk. Buffers stay.
    void step(ParameterStore& store, std::span<const float> gradient, double learning_rate);

    /// Momentum in the store's order.
    [[nodiscard]] std::span<const float> state() const { return momentum_; }

    /// Requires  state.size() == state().size()
    void restore(std::span<const float> state);

private:
    OptimizerSpec spec_;
    int threads_;
    std::vector<float> momentum_;
};

}  // namespace starling::compute
