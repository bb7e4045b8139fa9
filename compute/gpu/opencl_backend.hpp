#pragma once

// A card through OpenCL: one context, one ordered queue, one program that the driver compiles.

#include <memory>

#include "compute/gpu/backend.hpp"
#include "compute/gpu/opencl_devices.hpp"

namespace starling::compute::gpu {

/// Opens the device and compiles the kernels, which takes seconds the first time; drivers keep what
/// they have compiled.
/// Errors    Device, with what the driver said
/// Thread    compute
[[nodiscard]] Result<std::unique_ptr<Backend>> open_opencl(const OpenClDevice& device);

}  // namespace starling::compute::gpu
