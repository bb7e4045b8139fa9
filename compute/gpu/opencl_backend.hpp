#pragma once

// A card through OpenCL: one context, one ordered queue, one program that the driver compiles.

#include <chrono>
#include <memory>

#include "compute/gpu/backend.hpp"
#include "compute/gpu/opencl_devices.hpp"

namespace starling::compute::gpu {

/// Opens the device and compiles the kernels, which takes seconds the first time; drivers keep what
/// they have compiled. A device that does nothing for 30 s has failed.
/// Errors    Device, with what the driver said
/// Thread    compute
[[nodiscard]] Result<std::unique_ptr<Backend>> open_opencl(const OpenClDevice& device);

/// Does so with these functions in place of the library's, and another patience. For tests.
/// Requires  `api` outlives the backend
[[nodiscard]] Result<std::unique_ptr<Backend>> open_opencl(
    const OpenClDevice& device, const cl::Api& api, std::chrono::milliseconds patience
);

}  // namespace starling::compute::gpu
