#include "compute/training/device_memory.hpp"

#include <algorithm>
#include <cstdio>

#include "base/check.hpp"
#include "compute/gpu/plan.hpp"
#include "compute/training/optimizer.hpp"
#include "compute/training/plan_request.hpp"

namespace starling::compute {

namespace {

/// Both plans of an engine. Each allocates its temporaries in one piece.
struct Parts {
    MemoryUse training;
    MemoryUse evaluation;
    std::size_t optimizer = 0;

    [[nodiscard]] MemoryUse total() const {
        auto use = training;
        use.activations += evaluation.activations;
        use.lasting += evaluation.lasting;
        use.optimizer = optimizer;
        return use;
    }

    [[nodiscard]] std::size_t largest() const {
        return std::max(
            {training.activations,
             training.lasting,
             training.weights,
             training.gradients,
             evaluation.activations,
             evaluation.lasting,
             optimizer}
        );
    }
};

Result<MemoryUse> plan_use(
    const EngineOptions& options, const ParameterLayout& layout, std::int64_t batch, bool training
) {
    auto request = request_model(options, batch, training);
    if (request.has_error()) return request.error();
    // On a card Precision::Auto is f32, as long as there are no kernels for bf16.
    if (options.precision == Precision::Auto) request->plan.precision = Precision::F32;
    return gpu::plan_memory(std::move(request->plan), layout);
}

Result<Parts> parts_of(const EngineOptions& options) {
    const auto layout = layout_of(options);
    if (layout.has_error()) return layout.error();
    const auto training = plan_use(options, *layout, options.batch, true);
    if (training.has_error()) return training.error();
    const auto evaluation = plan_use(options, *layout, options.eval_batch, false);
    if (evaluation.has_error()) return evaluation.error();
    const auto state = Optimizer::state_size(options.optimizer, layout->elements());
    return Parts{*training, *evaluation, state * sizeof(float)};
}

DeviceFit fit_of(const Parts& parts, const EngineOptions& options, const DeviceInfo& device) {
    DeviceFit fit;
    fit.batch = options.batch;
    fit.need_bytes = parts.total().total();
    fit.piece_bytes = parts.largest();
    fit.have_bytes = device.memory_bytes;
    fit.piece_bytes_max = device.allocation_bytes_max;
    return fit;
}

bool fits(EngineOptions options, std::int64_t batch, const DeviceInfo& device) {
    options.batch = batch;
    const auto parts = parts_of(options);
    return parts && fit_of(*parts, options, device).fits();
}

}  // namespace

std::string size_text(std::uint64_t bytes) {
    char text[32];
    const auto number = static_cast<double>(bytes);
    const bool large = number >= 1e9;
    std::snprintf(text, sizeof(text), large ? "%.1f GB" : "%.1f MB", number / (large ? 1e9 : 1e6));
    return text;
}

Result<MemoryUse> card_memory(const EngineOptions& options) {
    const auto parts = parts_of(options);
    if (parts.has_error()) return parts.error();
    return parts->total();
}

Result<DeviceFit> fit_on_card(const EngineOptions& options, const DeviceInfo& device) {
    const auto parts = parts_of(options);
    if (parts.has_error()) return parts.error();
    auto fit = fit_of(*parts, options, device);
    fit.batch_max = options.batch;
    if (fit.fits()) return fit;
    // Invariant: `most` fits, or is none; `too_many` does not.
    std::int64_t most = 0;
    std::int64_t too_many = options.batch;
    while (too_many - most > 1) {
        const auto middle = most + (too_many - most) / 2;
        (fits(options, middle, device) ? most : too_many) = middle;
    }
    fit.batch_max = most;
    return fit;
}

Result<void> check_fit(const EngineOptions& options, const DeviceInfo& device) {
    const auto fit = fit_on_card(options, device);
    if (fit.has_error()) return fit.error();
    if (fit->fits()) return {};
    return fail(FaultCode::Usage, device.name + " (" + device.model + ") " + describe_lack(*fit));
}

std::string describe_lack(const DeviceFit& fit) {
    STARLING_CHECK(!fit.fits());
    const bool whole = fit.need_bytes <= fit.have_bytes;
    const auto have =
        whole ? size_text(fit.piece_bytes_max) + " in one piece" : size_text(fit.have_bytes);
    const auto need = size_text(whole ? fit.piece_bytes : fit.need_bytes);
    return "has " + have + ", and batches of " + std::to_string(fit.batch) + " need " + need +
           " there; " +
           (fit.batch_max > 0 ? "the largest batch that fits is " + std::to_string(fit.batch_max)
                              : std::string("not even one sample fits"));
}

}  // namespace starling::compute
