#pragma once

// SGD and AdamW over the store's chunks. The device makes one fused pass over gradient, state and
// weights of a chunk while it holds the chunk's lock.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.hpp"
#include "compute/arena/parameter_store.hpp"
#include "compute/device/device.hpp"
#include "compute/training/schedule.hpp"
#include "compute/values/update.hpp"

namespace starling::compute {

/// Thread    compute
class Optimizer {
public:
    /// Requires  the device outlives the optimizer
    /// Errors    throws std::bad_alloc
    Optimizer(
        const OptimizerSpec& spec, const ParameterLayout& layout, int threads, Device& device
    );
    ~Optimizer();
    Optimizer(const Optimizer&) = delete;
    Optimizer& operator=(const Optimizer&) = delete;

    /// Returns the floats of the state of such an optimizer over so many elements.
    [[nodiscard]] static std::size_t state_size(const OptimizerSpec& spec, std::size_t elements);

    /// Applies the gradient, flat in the store's order and in the device's memory, to every chunk
    /// of weights, and writes `copies`, if any, on the way. Buffers stay as they are. An optimizer
    /// that accumulates changes the weights only once in `accumulate` calls. Returns false when the
    /// norm of a gradient to clip is not finite: the accumulated gradients are then dropped, and
    /// weights and state stay as they were.
    /// Errors    Device
    [[nodiscard]] Result<bool> step(
        ParameterStore& store,
        DeviceSpan gradient,
        double learning_rate,
        PlanCopies* copies = nullptr
    );

    /// Returns the state in the store's order: the momentum of SGD, or the means and the squares of
    /// AdamW; then, of an optimizer that accumulates, the sum of the gradients that are not applied
    /// yet; then the number of updates (AdamW) and the number of gradients in that sum. Returns
    /// nothing when the device has failed, and the state with it.
    [[nodiscard]] std::span<const float> state() const;

    [[nodiscard]] std::size_t bytes() const;

    /// Takes a state over. It may lack the sum of gradients and their number, as in checkpoints of
    /// older releases; then the sum is empty. Returns false, and changes nothing, if it is not the
    /// state of such an optimizer. A device that fails is found at the next step.
    [[nodiscard]] bool restore(std::span<const float> state);

    /// Forgets all gradients so far: momentum and moments, and accumulated gradients.
    void reset();

private:
    [[nodiscard]] std::size_t moments() const { return adam() ? 2 * elements_ : elements_; }

    [[nodiscard]] std::size_t state_size() const { return state_size(spec_, elements_); }

    /// The sum of gradients within the state; empty where there is none.
    [[nodiscard]] DeviceSpan sum() const;

    /// Writes both counters to the end of the state.
    [[nodiscard]] Result<void> write_counters();

    /// Returns the gradient to apply now, empty while it still accumulates.
    [[nodiscard]] Result<DeviceSpan> gathered(DeviceSpan gradient);

    /// Returns the settings of the next update, and counts it.
    [[nodiscard]] UpdateSettings settings(float rate, float scale);

    [[nodiscard]] bool adam() const { return is_adam(spec_); }

    static bool is_adam(const OptimizerSpec& spec) { return spec.name == "adamw"; }

    OptimizerSpec spec_;
    int threads_;
    std::size_t elements_;
    Device& device_;
    std::unique_ptr<DeviceMemory> state_;
    mutable std::vector<float> copy_;  ///< of the state, when the host cannot read the device's
    float updates_ = 0.0F;
    std::uint64_t gathered_ = 0;  ///< gradients in sum()
};

}  // namespace starling::compute
