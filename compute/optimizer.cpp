#include "compute/optimizer.hpp"

#include <algorithm>

#include "base/check.hpp"

namespace starling::compute {

void sgd_update(
    const SgdSettings& settings,
    std::span<const float> gradient,
    std::span<float> momentum,
    std::span<float> weights
) {
    const auto count = weights.size();
    STARLING_CHECK(gradient.size() == count && momentum.size() == count);
    const float* __restrict g = gradient.data();
    float* __restrict m = momentum.data();
    float* __restrict w = weights.data();
    const float rate = settings.learning_rate;
    const float decay = settings.weight_decay;
    const float keep = settings.momentum;
    // Both forms are w -= rate * (a * g + b * m); choosing the factors outside keeps one loop.
    const float fresh = settings.nesterov ? 1.0F : 0.0F;
    const float held = settings.nesterov ? keep : 1.0F;
    for (std::size_t i = 0; i < count; ++i) {
        const float slope = g[i] + decay * w[i];
        const float mean = keep * m[i] + slope;
        m[i] = mean;
        w[i] -= rate * (fresh * slope + held * mean);
    }
}

Optimizer::Optimizer(const OptimizerSpec& spec, const ParameterLayout& layout, int threads)
    : spec_(spec),
      threads_(threads),
      momentum_(layout.elements(), 0.0F) {}

void Optimizer::step(ParameterStore& store, std::span<const float> gradient, double learning_rate) {
    STARLING_CHECK(gradient.size() == momentum_.size());
    const SgdSettings settings{
        static_cast<float>(learning_rate),
        static_cast<float>(spec_.momentum),
        static_cast<float>(spec_.weight_decay),
        spec_.nesterov};
    const auto& chunks = store.layout().chunks();
    const auto apply = [&](std::size_t c) {
        const auto& chunk = chunks[c];
        if (chunk.buffer) return;
        const auto state = std::span(momentum_).subspan(chunk.offset, chunk.elements);
        store.update(c, [&](std::span<float> weights) {
            sgd_update(settings, gradient.subspan(chunk.offset, chunk.elements), state, weights);
        });
    };
    if (threads_ == 1 || chunks.size() == 1) {
        for (std::size_t c = 0; c < chunks.size(); ++c) apply(c);
        return;
    }
#pragma omp parallel for schedule(static) num_threads(threads_)
    for (std::size_t c = 0; c < chunks.size(); ++c) apply(c);
}

void Optimizer::restore(std::span<const float> state) {
    STARLING_CHECK(state.size() == momentum_.size());
    std::copy(state.begin(), state.end(), momentum_.begin());
}

}  // namespace starling::compute
