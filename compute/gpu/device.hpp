#pragma once

// A graphics card as a device, over whichever driver serves it.

#include <memory>

#include "compute/device/device.hpp"
#include "compute/gpu/backend.hpp"

namespace starling::compute::gpu {

/// Thread    compute
[[nodiscard]] std::unique_ptr<Device> make_device(
    DeviceInfo info, std::unique_ptr<Backend> backend
);

}  // namespace starling::compute::gpu
