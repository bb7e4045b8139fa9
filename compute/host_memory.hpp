#pragma once

// Memory of the devices that compute in the host's own.

#include <algorithm>
#include <memory>
#include <new>

#include "base/check.hpp"
#include "compute/block.hpp"
#include "compute/device.hpp"

namespace starling::compute {

class HostMemory final : public DeviceMemory {
public:
    /// Throws std::bad_alloc.
    explicit HostMemory(std::size_t floats)
        : size_(floats),
          block_(allocate_block(floats * sizeof(float))) {}

    std::span<float> floats() override { return {reinterpret_cast<float*>(block_.get()), size_}; }

private:
    std::size_t size_;
    Block block_;
};

/// What such devices have in common: nothing to copy, nothing to wait for.
class HostDevice : public Device {
public:
    [[nodiscard]] bool on_host() const override { return true; }

    [[nodiscard]] Result<std::unique_ptr<DeviceMemory>> allocate(std::size_t floats) override {
        try {
            return std::unique_ptr<DeviceMemory>(std::make_unique<HostMemory>(floats));
        } catch (const std::bad_alloc&) {
            return fail(FaultCode::Oversized, "the model does not fit in memory");
        }
    }

    void copy_in(std::span<const float> host, std::span<float> device) override {
        STARLING_CHECK(host.size() == device.size());
        std::copy(host.begin(), host.end(), device.begin());
    }

    void copy_out(std::span<const float> device, std::span<float> host) override {
        copy_in(device, host);
    }

    void synchronize() override {}
};

}  // namespace starling::compute
