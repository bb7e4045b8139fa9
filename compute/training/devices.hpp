#pragma once

// Which devices there are, by name.

#include <string_view>

#include "base/result.hpp"
#include "compute/device/device.hpp"

namespace starling::compute {

/// Returns the device of a name. Devices live as long as the process.
/// Errors    Usage, naming those that exist
[[nodiscard]] Result<Device*> find_device(std::string_view name);

}  // namespace starling::compute
