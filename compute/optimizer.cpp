#include "compute/optimizer.hpp"

#include <algorithm>
#include <cmath>

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
    const float scale = settings.gradient_scale;
    // Both forms are w -= rate * (a * g + b * m); choosing the factors outside keeps one loop.
    const float fresh = settings.nesterov ? 1.0F : 0.0F;
    const float held = settings.nesterov ? keep : 1.0F;
    for (std::size_t i = 0; i < count; ++i) {
        const float slope = scale * g[i] + decay * w[i];
        const float mean = keep * m[i] + slope;
        m[i] = mean;
        w[i] -= rate * (fresh * slope + held * mean);
    }
}

void adamw_update(
    const AdamSettings& settings,
    std::span<const float> gradient,
    std::span<float> mean,
    std::span<float> square,
    std::span<float> weights
) {
    const auto count = weights.size();
    STARLING_CHECK(gradient.size() == count && mean.size() == count && square.size() == count);
    const float* __restrict g = gradient.data();
    float* __restrict m = mean.data();
    float* __restrict v = square.data();
    float* __restrict w = weights.data();
    const double unbias1 = 1.0 - std::pow(static_cast<double>(settings.beta1), settings.step);
    const double unbias2 = 1.0 - std::pow(static_cast<double>(settings.beta2), settings.step);
    const auto rate = static_cast<float>(static_cast<double>(settings.learning_rate) / unbias1);
    const auto root = static_cast<float>(1.0 / std::sqrt(unbias2));
    const float keep = 1.0F - settings.learning_rate * settings.weight_decay;
    const float scale = settings.gradient_scale;
    const float fresh1 = 1.0F - settings.beta1;
    const float fresh2 = 1.0F - settings.beta2;
    for (std::size_t i = 0; i < count; ++i) {
        const float slope = scale * g[i];
        m[i] = settings.beta1 * m[i] + fresh1 * slope;
        v[i] = settings.beta2 * v[i] + fresh2 * slope * slope;
        w[i] = keep * w[i] - rate * m[i] / (std::sqrt(v[i]) * root + settings.epsilon);
    }
}

double gradient_norm(std::span<const float> gradient, int threads) {
    constexpr std::size_t kPiece = 4096;
    double total = 0.0;
    const auto pieces = (gradient.size() + kPiece - 1) / kPiece;
#pragma omp parallel for schedule(static) num_threads(threads) reduction(+ : total)
    for (std::size_t p = 0; p < pieces; ++p) {
        const auto end = std::min(gradient.size(), (p + 1) * kPiece);
        float squares = 0.0F;
#pragma omp simd reduction(+ : squares)
        for (std::size_t i = p * kPiece; i < end; ++i) squares += gradient[i] * gradient[i];
        total += static_cast<double>(squares);
    }
    return std::sqrt(total);
}

Optimizer::Optimizer(const OptimizerSpec& spec, const ParameterLayout& layout, int threads)
    : spec_(spec),
      threads_(threads),
      elements_(layout.elements()),
      state_(spec.name == "adamw" ? 2 * elements_ + 1 : elements_, 0.0F),
      sum_(spec.accumulate > 1 ? elements_ : 0, 0.0F) {}

std::span<const float> Optimizer::gathered(std::span<const float> gradient) {
    if (spec_.accumulate <= 1) return gradient;
    if (gathered_ == 0) std::fill(sum_.begin(), sum_.end(), 0.0F);
    const float share = 1.0F / static_cast<float>(spec_.accumulate);
    for (std::size_t i = 0; i < sum_.size(); ++i) sum_[i] += share * gradient[i];
    if (++gathered_ < spec_.accumulate) return {};
    gathered_ = 0;
    return sum_;
}

void Optimizer::step(ParameterStore& store, std::span<const float> gradient, double learning_rate) {
    STARLING_CHECK(gradient.size() == elements_);
    const auto slope = gathered(gradient);
    if (slope.empty()) return;
    float scale = 1.0F;
    if (spec_.clip > 0.0) {
        const double norm = gradient_norm(slope, threads_);
        if (norm > spec_.clip) scale = static_cast<float>(spec_.clip / (norm + 1e-6));
    }
    const auto rate = static_cast<float>(learning_rate);
    const auto decay = static_cast<float>(spec_.weight_decay);
    const SgdSettings sgd{rate, static_cast<float>(spec_.momentum), decay, spec_.nesterov, scale};
    AdamSettings adam_settings{
        rate,
        static_cast<float>(spec_.beta1),
        static_cast<float>(spec_.beta2),
        static_cast<float>(spec_.epsilon),
        decay,
        scale,
        1.0};
    // A float counts exactly up to 2^24 updates, and by then the correction has long vanished.
    if (adam()) adam_settings.step = static_cast<double>(state_.back() += 1.0F);
    const auto& chunks = store.layout().chunks();
    const auto apply = [&](std::size_t c) {
        const auto& chunk = chunks[c];
        if (chunk.buffer) return;
        const auto part = slope.subspan(chunk.offset, chunk.elements);
        const auto first = std::span(state_).subspan(chunk.offset, chunk.elements);
        store.update(c, [&](std::span<float> weights) {
            if (adam()) {
                const auto second =
                    std::span(state_).subspan(elements_ + chunk.offset, chunk.elements);
                adamw_update(adam_settings, part, first, second, weights);
            } else {
                sgd_update(sgd, part, first, weights);
            }
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
    STARLING_CHECK(state.size() == state_.size());
    std::copy(state.begin(), state.end(), state_.begin());
}

}  // namespace starling::compute
