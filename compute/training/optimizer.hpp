#pragma once

// SGD and AdamW over the store's chunks. The device makes one fused pass over gradient, state and
// weights of a chunk while it holds the chunk's lock.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "compute/arena/parameter_store.hpp"
#include "compute/training/schedule.hpp"
#include "compute/values/update.hpp"

namespace starling::compute {

class Device;
class DeviceMemory;
class WeightCopies;

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

    /// Applies the gradient, flat in the store's order and in the device's memory, to every chunk
    /// of weights, and writes `copies`, if any, on the way. Buffers stay as they are. An optimizer
    /// that accumulates changes the weights only once in `accumulate` calls. Returns false when the
    /// norm of a gradient to clip is not finite: the accumulated gradients are then dropped, and
    /// weights and state stay as they were.
    bool step(
        ParameterStore& store,
        std::span<const float> gradient,
        double learning_rate,
        WeightCopies* copies = nullptr
    );

    /// Returns the state in the store's order: the momentum of SGD; the means, the squares and the
    /// number of updates of AdamW. Accumulated gradients that are not applied yet are not part of
    /// it, so a restart loses them.
    [[nodiscard]] std::span<const float> state() const;

    [[nodiscard]] std::size_t bytes() const;

    /// Requires  state.size() == state().size()
    void restore(std::span<const float> state);

    /// Forgets all gradients so far: momentum and moments, and accumulated gradients.
    void reset();

private:
    /// Returns the gradient to apply now, empty while it still accumulates.
    [[nodiscard]] std::span<const float> gathered(std::span<const float> gradient);

    void shrink_matrices(ParameterStore& store, double learning_rate) const;

    /// Returns the settings of the next update, and counts it.
    [[nodiscard]] UpdateSettings settings(float rate, float scale);

    [[nodiscard]] bool adam() const { return spec_.name == "adamw"; }

    OptimizerSpec spec_;
    int threads_;
    std::size_t elements_;
    Device& device_;
    std::unique_ptr<DeviceMemory> state_;
    std::unique_ptr<DeviceMemory> sum_;  ///< of gradients, when accumulating
    mutable std::vector<float> copy_;    ///< of the state, when the host cannot read the device's
    float updates_ = 0.0F;
    std::uint64_t gathered_ = 0;  ///< gradients in sum_
};

}  // namespace starling::compute
