#pragma once

// The seam between training and the hardware. Engine and optimizer speak only to a device, which
// compiles a graph into a plan, holds memory, and updates chunks of parameters. `cpu` is fast;
// `reference` has naive loops in double precision, and tests compare the others with it.
//
// The interface has room for a device with memory of its own (a GPU). Such a device queues work in
// order, as on one stream, and synchronize() waits for it. The gradients that a plan hands out are
// addresses for the same device's update() and for nobody else. update() copies a chunk in, changes
// it and copies it back while it holds the chunk's lock, so averaging sees the same three calls of
// the store (read, add, update) whatever the device.
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

/// Memory of a device. It holds zeros at first, is aligned to cache lines, and is freed with the
/// object.
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

/// One chunk's update by one optimizer. The spans lie in the device's memory and are as long as the
/// chunk.
struct ChunkUpdate {
    std::size_t chunk = 0;
    UpdateSettings settings;
    std::span<const float> gradient;
    std::span<float> mean;    ///< momentum for SGD
    std::span<float> square;  ///< AdamW only
    /// Copies of weights that update() writes on the way if the device can. If it cannot, their
    /// plan's next pack() writes them.
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

    /// Returns true when the host can use the device's addresses, so that nothing needs a copy.
    [[nodiscard]] virtual bool on_host() const = 0;

    /// Errors    Oversized
    [[nodiscard]] virtual Result<std::unique_ptr<DeviceMemory>> allocate(std::size_t floats) = 0;

    /// Copy between the host and the device, in order with the queued work.
    /// Requires  spans of one length
    virtual void copy_in(std::span<const float> host, std::span<float> device) = 0;
    virtual void copy_out(std::span<const float> device, std::span<float> host) = 0;

    /// Blocks until the device has done all queued work.
    virtual void synchronize() = 0;

    /// Compiles a graph. The layout holds its parameters by name and outlives the plan. With a
    /// stopwatch in the request a device may choose kernels by measuring them, which takes time:
    /// see PlanRequest.
    /// Errors    Unsupported (no kernel), Io (the library refused), Oversized (memory)
    [[nodiscard]] virtual Result<std::unique_ptr<Plan>> compile(
        PlanRequest request, const ParameterLayout& layout
    ) = 0;

    /// Returns the gradient's Euclidean norm, summed in double.
    [[nodiscard]] virtual double norm(std::span<const float> gradient, int threads) = 0;

    /// sum += share * gradient, or sum = share * gradient when `fresh`, whatever sum held before.
    virtual void accumulate(
        bool fresh, float share, std::span<const float> gradient, std::span<float> sum, int threads
    ) = 0;

    /// Applies the update to the store's chunk while it holds the chunk's lock. The OpenMP threads
    /// of the compute thread call this for several chunks at once.
    virtual void update(ParameterStore& store, const ChunkUpdate& update) = 0;
};

}  // namespace starling::compute
