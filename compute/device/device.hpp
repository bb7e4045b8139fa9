#pragma once

// The seam between training and the hardware. Engine and optimizer speak only to a device, which
// compiles a graph into a plan, holds memory, and updates chunks of parameters. `cpu` is fast;
// `reference` has naive loops in double precision, and tests compare the others with it.
//
// A device with memory of its own queues work in order, as on one stream, and synchronize() waits
// for it. Its memory is a DeviceSpan, which the host reads through copy_out() only. update() brings
// chunks in, changes them and hands them back while it holds their locks, so averaging sees the same
// three calls of the store (read, add, update) whatever the device.
//
// Hardware and drivers fail: what runs on a device returns a Result with FaultCode::Device, and the
// process goes on. A device that has failed once goes on failing until it is opened anew.
//
// Thread    compute

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "compute/arena/parameter_store.hpp"
#include "compute/arena/weight_copies.hpp"
#include "compute/device/device_info.hpp"
#include "compute/device/device_span.hpp"
#include "compute/device/plan.hpp"
#include "compute/simd/denormals.hpp"
#include "compute/values/update.hpp"

namespace starling::compute {

/// The update of all chunks of weights by one optimizer. Buffers stay as they are. The ranges lie in
/// the device's memory, flat in the store's order.
struct UpdateRequest {
    UpdateSettings settings;
    /// Matrices are multiplied by it before they move; 1 for no decay of their own. AdamW shrinks a
    /// weight before it moves it, and the move does not depend on that, so the result is that of a
    /// decay in the fused pass.
    float matrix_factor = 1.0F;
    DeviceSpan gradient;
    DeviceSpan mean;    ///< momentum for SGD
    DeviceSpan square;  ///< AdamW only
    /// What a plan of this device keeps of the weights. update() writes it on the way if the device
    /// can. If it cannot, the plan's next pack() does.
    PlanCopies* copies = nullptr;
    int threads = 1;
};

class Device {
public:
    virtual ~Device() = default;

    [[nodiscard]] virtual std::string_view name() const = 0;

    /// Returns what people are told of the device.
    [[nodiscard]] virtual DeviceInfo info() const = 0;

    /// Returns one line for logs: the libraries behind the device, their versions and threads.
    [[nodiscard]] virtual std::string describe() const = 0;

    /// Prepares the calling thread for compiling and running plans: sets its floating-point mode
    /// until what is returned is destroyed, and the libraries' threads for good. Costs nothing
    /// beside a step.
    [[nodiscard]] virtual FlushDenormals enter() = 0;

    /// Returns true when the device computes in the host's memory, so that host_floats() works and
    /// nothing needs a copy.
    [[nodiscard]] virtual bool on_host() const = 0;

    /// Errors    Oversized, Device
    [[nodiscard]] virtual Result<std::unique_ptr<DeviceMemory>> allocate(std::size_t floats) = 0;

    /// Copy between the host and the device, in order with the queued work. When they return, the
    /// host may use its span again.
    /// Requires  ranges of one length
    /// Errors    Device
    [[nodiscard]] virtual Result<void> copy_in(std::span<const float> host, DeviceSpan device) = 0;
    [[nodiscard]] virtual Result<void> copy_out(DeviceSpan device, std::span<float> host) = 0;

    /// Blocks until the device has done all queued work.
    /// Errors    Device, also for work that was queued before
    [[nodiscard]] virtual Result<void> synchronize() = 0;

    /// Compiles a graph. The layout holds its parameters by name and outlives the plan. With a
    /// stopwatch in the request a device may choose kernels by measuring them, which takes time:
    /// see PlanRequest.
    /// Errors    Unsupported (no kernel), Io (the library refused), Oversized (memory), Device
    [[nodiscard]] virtual Result<std::unique_ptr<Plan>> compile(
        PlanRequest request, const ParameterLayout& layout
    ) = 0;

    /// Returns the gradient's Euclidean norm, summed in double.
    /// Errors    Device
    [[nodiscard]] virtual Result<double> norm(DeviceSpan gradient, int threads) = 0;

    /// sum += share * gradient, or sum = share * gradient when `fresh`, whatever sum held before.
    /// Errors    Device
    [[nodiscard]] virtual Result<void> accumulate(
        bool fresh, float share, DeviceSpan gradient, DeviceSpan sum, int threads
    ) = 0;

    /// Applies the update to all chunks of the store's weights, each while it holds the chunk's
    /// lock. What an exchange adds meanwhile is kept.
    /// Errors    Device; then some chunks may have been updated and others not
    [[nodiscard]] virtual Result<void> update(
        ParameterStore& store, const UpdateRequest& request
    ) = 0;
};

}  // namespace starling::compute
