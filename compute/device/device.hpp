#pragma once

// The seam to what computes. Engine and optimizer speak to a device alone: it compiles a graph into
// a plan, holds memory, and updates chunks of parameters. `cpu` is fast, `reference` is the
// plainest loops in double precision and the oracle of the others.
//
// A device with memory of its own (a GPU) fits behind it: work is queued in order, as on one
// stream, and synchronize() waits for it; what a plan hands out as gradients is an address for the
// same device's update() and nobody else; update() is where such a device brings a chunk in,
// changes it and hands it back under the chunk's lock, so that mixing sees the three verbs of the
// store (read, add, update) whatever the device.
//
// Thread    compute

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "compute/arena/parameter_store.hpp"
#include "compute/arena/weight_copies.hpp"
#include "compute/device/plan.hpp"
#include "compute/simd/denormals.hpp"
#include "compute/values/update.hpp"

namespace starling::compute {

/// Zeros at first; aligned to cache lines; freed with the object.
class DeviceMemory {
public:
    DeviceMemory() = default;
    DeviceMemory(const DeviceMemory&) = delete;
    DeviceMemory& operator=(const DeviceMemory&) = delete;
    virtual ~DeviceMemory() = default;

    /// Returns the floats as the device addresses them: for its own calls, and for the host only
    /// when Device::on_host().
    [[nodiscard]] virtual std::span<float> floats() = 0;
};

/// One chunk's update by one optimizer. Spans are the device's, as long as the chunk.
struct ChunkUpdate {
    std::size_t chunk = 0;
    UpdateSettings settings;
    std::span<const float> gradient;
    std::span<float> mean;    ///< momentum for SGD
    std::span<float> square;  ///< AdamW only
    /// Copies to write on the way, where the device can; else their plan's next pack() does it.
    WeightCopies* copies = nullptr;
};

class Device {
public:
    virtual ~Device() = default;

    [[nodiscard]] virtual std::string_view name() const = 0;

    /// Returns one line for logs: the libraries behind the device, their versions and threads.
    [[nodiscard]] virtual std::string describe() const = 0;

    /// Prepares the calling thread for compiling and running plans: sets its floating-point mode
    /// until what is returned is destroyed, and the libraries' threads for good. Costs nothing
    /// beside a step.
    [[nodiscard]] virtual FlushDenormals enter() = 0;

    /// True when device addresses are host addresses, and copies need not be.
    [[nodiscard]] virtual bool on_host() const = 0;

    /// Errors    Oversized
    [[nodiscard]] virtual Result<std::unique_ptr<DeviceMemory>> allocate(std::size_t floats) = 0;

    /// Copies between the host and the device, in order with the work that is queued.
    /// Requires  spans of one length
    virtual void copy_in(std::span<const float> host, std::span<float> device) = 0;
    virtual void copy_out(std::span<const float> device, std::span<float> host) = 0;

    /// Waits until all that is queued has been done.
    virtual void synchronize() = 0;

    /// Compiles a graph whose parameters are found in `layout` by name.
    /// Errors    Unsupported (no kernel), Io (the library refused), Oversized (memory)
    [[nodiscard]] virtual Result<std::unique_ptr<Plan>> compile(
        PlanRequest request, const ParameterLayout& layout
    ) = 0;

    /// Returns the Euclidean norm, summed in double.
    [[nodiscard]] virtual double norm(std::span<const float> gradient, int threads) = 0;

    /// sum += share * gradient; a fresh sum is zero at first, whatever its memory holds.
    virtual void accumulate(
        bool fresh, float share, std::span<const float> gradient, std::span<float> sum, int threads
    ) = 0;

    /// Applies the update to the store's chunk, under its lock. Called for several chunks at once,
    /// from the OpenMP threads of the compute thread.
    virtual void update(ParameterStore& store, const ChunkUpdate& update) = 0;
};

}  // namespace starling::compute
