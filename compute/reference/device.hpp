#pragma once

// The reference as a device, for tests.

#include "compute/device/device.hpp"

namespace starling::compute {

/// It lives as long as the process.
[[nodiscard]] Device& reference_device();

}  // namespace starling::compute
