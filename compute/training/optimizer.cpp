#include "compute/training/optimizer.hpp"

#include <array>
#include <cmath>
#include <new>

#include "base/check.hpp"
#include "compute/device/device.hpp"
#include "compute/device/host_memory.hpp"

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

std::size_t Optimizer::state_size(const OptimizerSpec& spec, std::size_t elements) {
    const auto moments = is_adam(spec) ? 2 * elements + 1 : elements;
    return moments + (spec.accumulate > 1 ? elements + 1 : 0);
}

DeviceSpan Optimizer::sum() const {
    return DeviceSpan(*state_, moments(), spec_.accumulate > 1 ? elements_ : 0);
}

std::span<const float> Optimizer::state() const {
    const DeviceSpan all(*state_);
    if (device_.on_host()) return host_floats(all);
    copy_.resize(all.size());
    if (const auto copied = device_.copy_out(all, copy_); !copied) return {};
    return copy_;
}

std::size_t Optimizer::bytes() const {
    return state_->size() * sizeof(float);
}

Result<DeviceSpan> Optimizer::gathered(DeviceSpan gradient) {
    if (spec_.accumulate <= 1) return gradient;
    const auto sum = this->sum();
    const float share = 1.0F / static_cast<float>(spec_.accumulate);
    auto added = device_.accumulate(gathered_ == 0, share, gradient, sum, threads_);
    if (!added) return added.error();
    gathered_ = (gathered_ + 1) % spec_.accumulate;
    if (const auto written = write_counters(); !written) return written.error();
    if (gathered_ > 0) return DeviceSpan();
    return sum;
}

Result<void> Optimizer::write_counters() {
    const std::array both{updates_, static_cast<float>(gathered_)};
    const std::size_t begin = adam() ? 0 : 1;
    const std::size_t end = spec_.accumulate > 1 ? 2 : 1;
    const auto counters = std::span(both).subspan(begin, end - begin);
    if (counters.empty()) return {};
    return device_.copy_in(counters, DeviceSpan(*state_).last(counters.size()));
}

UpdateSettings Optimizer::settings(float rate, float scale) {
    // With decay_matrices the request has a factor of its own, and the fused pass must not decay.
    const auto decay = spec_.decay_matrices ? 0.0F : static_cast<float>(spec_.weight_decay);
    if (!adam()) {
        const auto momentum = static_cast<float>(spec_.momentum);
        return SgdSettings{rate, momentum, decay, spec_.nesterov, scale};
    }
    // A float counts updates exactly up to 2^24. By then the bias correction has long become one.
    updates_ += 1.0F;
    return AdamSettings{
        rate,
        static_cast<float>(spec_.beta1),
        static_cast<float>(spec_.beta2),
        static_cast<float>(spec_.epsilon),
        decay,
        scale,
        static_cast<double>(updates_)};
}

Result<bool> Optimizer::step(
    ParameterStore& store, DeviceSpan gradient, double learning_rate, PlanCopies* copies
) {
    STARLING_CHECK(gradient.size() == elements_);
    const auto slope = gathered(gradient);
    if (!slope) return slope.error();
    if (slope->empty()) return true;
    float scale = 1.0F;
    if (spec_.clip > 0.0) {
        const auto norm = device_.norm(*slope, threads_);
        if (!norm) return norm.error();
        if (!std::isfinite(*norm)) return false;
        if (*norm > spec_.clip) scale = static_cast<float>(spec_.clip / (*norm + 1e-6));
    }
    const auto rate = static_cast<float>(learning_rate);
    UpdateRequest request{settings(rate, scale), 1.0F, *slope, {}, {}, copies, threads_};
    if (const auto written = write_counters(); !written) return written.error();
    if (spec_.decay_matrices) {
        request.matrix_factor = 1.0F - rate * static_cast<float>(spec_.weight_decay);
    }
    request.mean = DeviceSpan(*state_, 0, elements_);
    if (adam()) request.square = DeviceSpan(*state_, elements_, elements_);
    if (const auto done = device_.update(store, request); !done) return done.error();
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
    if (adam()) updates_ = state[moments() + sums];
    // A device that fails here fails at the next step, too, which says so.
    const auto copied =
        device_.copy_in(state.first(moments() + sums), DeviceSpan(*state_).first(moments() + sums));
    if (copied) (void)write_counters();
    return true;
}

}  // namespace starling::compute
