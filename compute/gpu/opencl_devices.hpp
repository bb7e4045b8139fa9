#pragma once

// The devices that OpenCL offers here, in the order of its platforms: opencl:0 is the first.

#include <vector>

#include "base/result.hpp"
#include "compute/device/device_info.hpp"
#include "compute/gpu/opencl_api.hpp"

namespace starling::compute::gpu {

struct OpenClDevice {
    DeviceInfo info;
    cl::Device id = nullptr;
    std::uint64_t allocation_bytes_max = 0;
    std::size_t group_max = 0;
};

/// Returns all devices, also those that cannot be used, whose info says why.
/// Errors    NotFound: no library, no driver, no device; one line for people
/// Thread    any; drivers are asked once a process
[[nodiscard]] Result<std::vector<OpenClDevice>> opencl_devices();

}  // namespace starling::compute::gpu
