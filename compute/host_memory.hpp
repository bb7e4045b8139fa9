#pragma once

// Memory of the devices that compute in the host's own.

#include <algorithm>
#include <memory>
#include <new>

#include "base/check.hpp"
#include "compute/device.hpp"
#include "compute/memory_plan.hpp"

namespace starling::compute {

class HostMemory final : public DeviceMemory {
public:
    /// Throws std::bad_alloc.
    explicit HostMemory(std::size_t floats)
        : size_(floats),
          data_(static_cast<float*>(::operator new[](
              std::max<std::size_t>(floats, 1) * sizeof(float), std::align_val_t{kBlockAlignment}
          ))) {
        std::fill_n(data_.get(), size_, 0.0F);
    }

    std::span<float> floats() override { return {data_.get(), size_}; }

private:
    struct Free {
        void operator()(float* p) const {
            ::operator delete[](p, std::align_val_t{kBlockAlignment});
        }
    };

    std::size_t size_;
    std::unique_ptr<float[], Free> data_;
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
