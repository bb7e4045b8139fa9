#pragma once

// What the devices that compute in the host's own memory have in common.

#include <memory>
#include <span>

#include "compute/device/device.hpp"

namespace starling::compute {

/// Nothing needs to be copied, and nothing to be waited for.
class HostDevice : public Device {
public:
    /// Threads that OpenMP starts inherit the floating-point mode, so the first call comes before
    /// the first parallel loop.
    [[nodiscard]] FlushDenormals enter() override;

    [[nodiscard]] bool on_host() const override { return true; }

    [[nodiscard]] Result<std::unique_ptr<DeviceMemory>> allocate(std::size_t floats) override;

    void copy_in(std::span<const float> host, std::span<float> device) override;
    void copy_out(std::span<const float> device, std::span<float> host) override;

    void synchronize() override {}
};

}  // namespace starling::compute
