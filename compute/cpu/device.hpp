#pragma once

// The CPU as a device: oneDNN, OpenBLAS and loops of ours.

#include "compute/device/device.hpp"

namespace starling::compute {

/// It lives as long as the process.
[[nodiscard]] Device& cpu_device();

}  // namespace starling::compute
