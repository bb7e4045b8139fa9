#pragma once

// Handles of OpenCL that are given back with their owner.

#include <utility>

#include "compute/gpu/opencl_api.hpp"

namespace starling::compute::gpu::cl {

/// Closes a handle with the function that belongs to it.
template <class Handle, Int (*Api::*Release)(Handle)>
class Owned {
public:
    Owned() = default;

    Owned(const Api& api, Handle handle) : api_(&api), handle_(handle) {}

    Owned(const Owned&) = delete;
    Owned& operator=(const Owned&) = delete;

    Owned(Owned&& other) noexcept
        : api_(other.api_),
          handle_(std::exchange(other.handle_, nullptr)) {}

    Owned& operator=(Owned&& other) noexcept {
        std::swap(api_, other.api_);
        std::swap(handle_, other.handle_);
        return *this;
    }

    ~Owned() {
        // A handle that the driver does not give back is the driver's loss.
        if (handle_ != nullptr) (void)(api_->*Release)(handle_);
    }

    [[nodiscard]] Handle get() const { return handle_; }

    /// Gives nothing back: a driver that hangs would wait in the call.
    void forget() { handle_ = nullptr; }

private:
    const Api* api_ = nullptr;
    Handle handle_ = nullptr;
};

using OwnedContext = Owned<Context, &Api::ReleaseContext>;
using OwnedQueue = Owned<Queue, &Api::ReleaseCommandQueue>;
using OwnedProgram = Owned<Program, &Api::ReleaseProgram>;
using OwnedKernel = Owned<Kernel, &Api::ReleaseKernel>;
using OwnedBuffer = Owned<Memory, &Api::ReleaseMemObject>;
using OwnedEvent = Owned<Event, &Api::ReleaseEvent>;

}  // namespace starling::compute::gpu::cl
