#include "compute/optimizer.hpp"

#include <algorithm>
#include <cmath>
#include <new>

#include "base/check.hpp"
#include "compute/cpu/isa.hpp"
#include "compute/device.hpp"

namespace starling::compute {

namespace {

/// Both forms of momentum are w -= rate * (fresh * g + held * m).
struct SgdFactors {
    float rate;
    float decay;
    float keep;
    float scale;
    float fresh;
    float held;
};

STARLING_INLINE void sgd_loop(
    const SgdFactors& f, const float* g, float* m, float* w, std::size_t count
) {
#pragma omp simd
    for (std::size_t i = 0; i < count; ++i) {
        const float slope = f.scale * g[i] + f.decay * w[i];
        const float mean = f.keep * m[i] + slope;
        m[i] = mean;
        w[i] -= f.rate * (f.fresh * slope + f.held * mean);
    }
}

struct AdamFactors {
    float rate;   ///< free of the means' start at zero
    float root;   ///< likewise of the squares'
    float keep;   ///< of the weight
    float scale;  ///< of the gradient
    float beta1;
    float beta2;
    float epsilon;
};

STARLING_INLINE void adamw_loop(
    const AdamFactors& f, const float* g, float* m, float* v, float* w, std::size_t count
) {
    const float fresh1 = 1.0F - f.beta1;
    const float fresh2 = 1.0F - f.beta2;
#pragma omp simd
    for (std::size_t i = 0; i < count; ++i) {
        const float slope = f.scale * g[i];
        const float mean = f.beta1 * m[i] + fresh1 * slope;
        const float square = f.beta2 * v[i] + fresh2 * slope * slope;
        m[i] = mean;
        v[i] = square;
        w[i] = f.keep * w[i] - f.rate * mean / (std::sqrt(square) * f.root + f.epsilon);
    }
}

STARLING_INLINE float sum_of_squares(const float* x, std::size_t count) {
    float squares = 0.0F;
#pragma omp simd reduction(+ : squares)
    for (std::size_t i = 0; i < count; ++i) squares += x[i] * x[i];
    return squares;
}

}  // namespace

void sgd_update(
    const SgdSettings& settings,
    std::span<const float> gradient,
    std::span<float> momentum,
    std::span<float> weights
) {
    const auto count = weights.size();
    STARLING_CHECK(gradient.size() == count && momentum.size() == count);
    const SgdFactors factors{
        settings.learning_rate,
        settings.weight_decay,
        settings.momentum,
        settings.gradient_scale,
        settings.nesterov ? 1.0F : 0.0F,
        settings.nesterov ? settings.momentum : 1.0F};
    cpu::vectorized<sgd_loop>(factors, gradient.data(), momentum.data(), weights.data(), count);
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
    const double unbias1 = 1.0 - std::pow(static_cast<double>(settings.beta1), settings.step);
    const double unbias2 = 1.0 - std::pow(static_cast<double>(settings.beta2), settings.step);
    const AdamFactors factors{
        static_cast<float>(static_cast<double>(settings.learning_rate) / unbias1),
        static_cast<float>(1.0 / std::sqrt(unbias2)),
        1.0F - settings.learning_rate * settings.weight_decay,
        settings.gradient_scale,
        settings.beta1,
        settings.beta2,
        settings.epsilon};
    cpu::vectorized<adamw_loop>(
        factors, gradient.data(), mean.data(), square.data(), weights.data(), count
    );
}

double gradient_norm(std::span<const float> gradient, int threads) {
    constexpr std::size_t kPiece = 4096;
    double total = 0.0;
    const auto pieces = (gradient.size() + kPiece - 1) / kPiece;
#pragma omp parallel for schedule(static) num_threads(threads) reduction(+ : total)
    for (std::size_t p = 0; p < pieces; ++p) {
        const auto begin = p * kPiece;
        const auto count = std::min(gradient.size() - begin, kPiece);
        const float* from = gradient.data() + begin;
        total += static_cast<double>(cpu::vectorized<sum_of_squares>(from, count));
    }
    return std::sqrt(total);
}

namespace {

std::unique_ptr<DeviceMemory> take(Device& device, std::size_t floats) {
    auto memory = device.allocate(floats);
    if (memory.has_error()) throw std::bad_alloc();
    return std::move(*memory);
}

}  // namespace

Optimizer::Optimizer(
    const OptimizerSpec& spec, const ParameterLayout& layout, int threads, Device& device
)
    : spec_(spec),
      threads_(threads),
      elements_(layout.elements()),
      device_(device),
      state_(take(device, spec.name == "adamw" ? 2 * elements_ + 1 : elements_)),
      sum_(take(device, spec.accumulate > 1 ? elements_ : 0)) {}

Optimizer::~Optimizer() = default;

std::span<const float> Optimizer::state() const {
    const auto floats = state_->floats();
    if (device_.on_host()) return floats;
    copy_.resize(floats.size());
    device_.copy_out(floats, copy_);
    device_.synchronize();
    return copy_;
}

std::size_t Optimizer::bytes() const {
    return (state_->floats().size() + sum_->floats().size()) * sizeof(float);
}

std::span<const float> Optimizer::gathered(std::span<const float> gradient) {
    if (spec_.accumulate <= 1) return gradient;
    const auto sum = sum_->floats();
    const float share = 1.0F / static_cast<float>(spec_.accumulate);
    device_.accumulate(gathered_ == 0, share, gradient, sum, threads_);
    if (++gathered_ < spec_.accumulate) return {};
    gathered_ = 0;
    return sum;
}

std::variant<SgdSettings, AdamSettings> Optimizer::settings(float rate, float scale) {
    // Matrices by themselves have shrunk already.
    const auto decay = spec_.decay_matrices ? 0.0F : static_cast<float>(spec_.weight_decay);
    if (!adam()) {
        const auto momentum = static_cast<float>(spec_.momentum);
        return SgdSettings{rate, momentum, decay, spec_.nesterov, scale};
    }
    // A float counts exactly up to 2^24 updates, and by then the correction has long vanished.
    updates_ += 1.0F;
    device_.copy_in(std::span<const float>(&updates_, 1), state_->floats().last(1));
    return AdamSettings{
        rate,
        static_cast<float>(spec_.beta1),
        static_cast<float>(spec_.beta2),
        static_cast<float>(spec_.epsilon),
        decay,
        scale,
        static_cast<double>(updates_)};
}

/// A pass of its own over the matrices, because a chunk holds both kinds. AdamW shrinks a weight
/// before it moves it, and independently of that, so the result is that of the fused pass.
void Optimizer::shrink_matrices(ParameterStore& store, double learning_rate) const {
    const auto factor =
        1.0F - static_cast<float>(learning_rate) * static_cast<float>(spec_.weight_decay);
    for (const auto& info : store.layout().parameters()) {
        if (info.buffer || info.shape.size() < 2) continue;
        store.update_tensor(info, [factor](std::span<float> piece, std::size_t) {
            for (auto& weight : piece) weight *= factor;
        });
    }
}

bool Optimizer::step(
    ParameterStore& store,
    std::span<const float> gradient,
    double learning_rate,
    WeightCopies* copies
) {
    STARLING_CHECK(gradient.size() == elements_);
    const auto slope = gathered(gradient);
    if (slope.empty()) return true;
    float scale = 1.0F;
    if (spec_.clip > 0.0) {
        const double norm = device_.norm(slope, threads_);
        if (!std::isfinite(norm)) return false;
        if (norm > spec_.clip) scale = static_cast<float>(spec_.clip / (norm + 1e-6));
    }
    const auto chosen = settings(static_cast<float>(learning_rate), scale);
    if (spec_.decay_matrices) shrink_matrices(store, learning_rate);
    const auto& chunks = store.layout().chunks();
    const auto state = state_->floats();
    const auto apply = [&](std::size_t c) {
        const auto& chunk = chunks[c];
        if (chunk.buffer) return;
        ChunkUpdate update{c, chosen, slope.subspan(chunk.offset, chunk.elements), {}, {}, copies};
        update.mean = state.subspan(chunk.offset, chunk.elements);
        if (adam()) update.square = state.subspan(elements_ + chunk.offset, chunk.elements);
        device_.update(store, update);
    };
    if (threads_ == 1 || chunks.size() == 1) {
        for (std::size_t c = 0; c < chunks.size(); ++c) apply(c);
        return true;
    }
    // The last chunk is short, and a lock may be held for a moment.
#pragma omp parallel for schedule(dynamic) num_threads(threads_)
    for (std::size_t c = 0; c < chunks.size(); ++c) apply(c);
    return true;
}

void Optimizer::reset() {
    restore(std::vector<float>(state_->floats().size()));
    gathered_ = 0;
}

void Optimizer::restore(std::span<const float> state) {
    device_.copy_in(state, state_->floats());
    if (adam()) updates_ = state.back();
}

}  // namespace starling::compute
