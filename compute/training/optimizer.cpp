#include "compute/training/optimizer.hpp"

#include <array>
#include <cmath>
#include <new>

#include "base/check.hpp"
#include "compute/device/device.hpp"

namespace starling::compute {

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
      state_(take(device, state_size())) {}

Optimizer::~Optimizer() = default;

std::size_t Optimizer::state_size() const {
    return moments() + (adam() ? 1 : 0) + (spec_.accumulate > 1 ? elements_ + 1 : 0);
}

std::span<float> Optimizer::sum() const {
    return state_->floats().subspan(moments(), spec_.accumulate > 1 ? elements_ : 0);
}

std::span<const float> Optimizer::state() const {
    const auto floats = state_->floats();
    if (device_.on_host()) return floats;
    copy_.resize(floats.size());
    device_.copy_out(floats, copy_);
    device_.synchronize();
    return copy_;
}

std::size_t Optimizer::bytes() const {
    return state_->floats().size() * sizeof(float);
}

std::span<const float> Optimizer::gathered(std::span<const float> gradient) {
    if (spec_.accumulate <= 1) return gradient;
    const auto sum = this->sum();
    const float share = 1.0F / static_cast<float>(spec_.accumulate);
    device_.accumulate(gathered_ == 0, share, gradient, sum, threads_);
    gathered_ = (gathered_ + 1) % spec_.accumulate;
    write_counters();
    if (gathered_ > 0) return {};
    return sum;
}

void Optimizer::write_counters() {
    const std::array both{updates_, static_cast<float>(gathered_)};
    const std::size_t begin = adam() ? 0 : 1;
    const std::size_t end = spec_.accumulate > 1 ? 2 : 1;
    const auto counters = std::span(both).subspan(begin, end - begin);
    device_.copy_in(counters, state_->floats().last(counters.size()));
}

UpdateSettings Optimizer::settings(float rate, float scale) {
    // With decay_matrices, shrink_matrices() applies the decay, and the fused pass must not.
    const auto decay = spec_.decay_matrices ? 0.0F : static_cast<float>(spec_.weight_decay);
    if (!adam()) {
        const auto momentum = static_cast<float>(spec_.momentum);
        return SgdSettings{rate, momentum, decay, spec_.nesterov, scale};
    }
    // A float counts updates exactly up to 2^24. By then the bias correction has long become one.
    updates_ += 1.0F;
    write_counters();
    return AdamSettings{
        rate,
        static_cast<float>(spec_.beta1),
        static_cast<float>(spec_.beta2),
        static_cast<float>(spec_.epsilon),
        decay,
        scale,
        static_cast<double>(updates_)};
}

/// Shrinks matrices in a pass of its own, because a chunk holds matrices and vectors. AdamW shrinks
/// a weight before it moves it, and the move does not depend on that, so the result is the same as
/// in the fused pass.
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
    // Dynamic: the last chunk is short, and another thread may hold a chunk's lock for a moment.
#pragma omp parallel for schedule(dynamic) num_threads(threads_)
    for (std::size_t c = 0; c < chunks.size(); ++c) apply(c);
    return true;
}

void Optimizer::reset() {
    STARLING_CHECK(restore(std::vector<float>(state_size())));
}

bool Optimizer::restore(std::span<const float> state) {
    const std::size_t counters = adam() ? 1 : 0;
    const bool whole = state.size() == state_size();
    if (!whole && state.size() != moments() + counters) return false;
    const float gathered = whole && spec_.accumulate > 1 ? state.back() : 0.0F;
    // The file may come from a run with another `accumulate`, or be damaged.
    if (!(gathered >= 0.0F && gathered < static_cast<float>(spec_.accumulate))) return false;
    gathered_ = static_cast<std::uint64_t>(gathered);
    const auto sums = whole ? sum().size() : 0;
    device_.copy_in(state.first(moments() + sums), state_->floats().first(moments() + sums));
    if (adam()) updates_ = state[moments() + sums];
    write_counters();
    return true;
}

}  // namespace starling::compute
