#pragma once

// What a model takes of a device that has memory of its own, known before anything is allocated.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "compute/device/device_info.hpp"
#include "compute/training/engine_options.hpp"
#include "compute/values/task.hpp"

namespace starling::compute {

/// What a model needs of a device, and what the device has.
struct DeviceFit {
    std::int64_t batch = 0;       ///< samples of a step, as asked for
    std::size_t need_bytes = 0;   ///< of a training step and an evaluation together
    std::size_t piece_bytes = 0;  ///< the largest piece of them, which drivers give whole or not
    std::uint64_t have_bytes = 0;
    std::uint64_t piece_bytes_max = 0;  ///< 0: as much as there is
    /// The largest batch that fits, where the one that was asked for does not; 0: not even one sample.
    std::int64_t batch_max = 0;

    [[nodiscard]] bool fits() const {
        return need_bytes <= have_bytes && (piece_bytes_max == 0 || piece_bytes <= piece_bytes_max);
    }
};

/// Returns what an engine with these options takes of a graphics card: temporaries, inputs and
/// outputs of both plans, a copy of the weights, the gradient, the optimizer's state. It equals
/// Engine::memory() of that engine.
/// Errors    those of build_model; Unsupported: an operator without a kernel, or precision
/// Thread    any (pure)
[[nodiscard]] Result<MemoryUse> card_memory(const EngineOptions& options);

/// Compares what an engine takes with what the device has. Where it does not fit, finds the largest
/// batch that does, by halving: it lowers the graph about log2(batch) times more.
/// Errors    as card_memory()
/// Thread    any (pure)
[[nodiscard]] Result<DeviceFit> fit_on_card(const EngineOptions& options, const DeviceInfo& device);

/// Checks that an engine fits on a device that has memory of its own and was named.
/// Errors    Usage, with what it needs, what the device has, and the largest batch that fits; those
///           of card_memory()
/// Thread    any (pure)
[[nodiscard]] Result<void> check_fit(const EngineOptions& options, const DeviceInfo& device);

/// Returns a number of bytes for people: `2.1 GB`, `31.5 MB`.
[[nodiscard]] std::string size_text(std::uint64_t bytes);

/// Returns what lacks, for people: `has 2.1 GB, and batches of 4096 need 3.4 GB there; at most 2511
/// samples fit`.
/// Requires  it does not fit
[[nodiscard]] std::string describe_lack(const DeviceFit& fit);

}  // namespace starling::compute
