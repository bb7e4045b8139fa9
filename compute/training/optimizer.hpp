#pragma once

// SGD and AdamW over the store's chunks: one fused pass over gradient, state and weights, under
// each chunk's lock.

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
    /// Throws std::bad_alloc. Requires  the device outlives the optimizer
    Optimizer(
        const OptimizerSpec& spec, const ParameterLayout& layout, int threads, Device& device
    );
    ~Optimizer();
    Optimizer(const Optimizer&) = delete;
    Optimizer& operator=(const Optimizer&) = delete;

    /// Applies the gradient, flat in the store's order and in the device's memory, to every weight
    /// chunk, and writes `copies`, if any, on the way. Buffers stay. With accumulation only every
    /// so many calls change the weights. Returns false where the norm to clip is not finite: what
    /// was gathered is dropped then, weights and state stay.
    bool step(
        ParameterStore& store,
        std::span<const float> gradient,
        double learning_rate,
        WeightCopies* copies = nullptr
    );

    /// In the store's order: momentum for SGD; means, squares, and then the number of updates for
    /// AdamW. A gradient that is not yet applied is not part of it: after a restart it is lost.
    [[nodiscard]] std::span<const float> state() const;

    [[nodiscard]] std::size_t bytes() const;

    /// Requires  state.size() == state().size()
    void restore(std::span<const float> state);

    /// Forgets all gradients so far: momentum and moments, and what was gathered.
    void reset();

private:
    /// Returns the gradient to apply now, empty while it still accumulates.
    [[nodiscard]] std::span<const float> gathered(std::span<const float> gradient);

    void shrink_matrices(ParameterStore& store, double learning_rate) const;

    /// The settings of one update; counts it.
    [[nodiscard]] UpdateSettings settings(float rate, float scale);

    [[nodiscard]] bool adam() const { return spec_.name == "adamw"; }

    OptimizerSpec spec_;
    int threads_;
    std::size_t elements_;
    Device& device_;
    std::unique_ptr<DeviceMemory> state_;
    std::unique_ptr<DeviceMemory> sum_;  ///< of gradients, when accumulating
    mutable std::vector<float> copy_;    ///< of the state, for the host, where it cannot be read
    float updates_ = 0.0F;
    std::uint64_t gathered_ = 0;  ///< gradients in it
};

}  // namespace starling::compute
