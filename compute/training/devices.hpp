#pragma once

// Which devices there are, by name: `cpu`, `opencl:N`, and `reference` for tests. `cuda:N` is a name
// that no release serves yet.

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "compute/device/device.hpp"

namespace starling::compute {

/// Returns what there is here, and what was looked for and is missing.
/// Thread    any; drivers are asked once a process
[[nodiscard]] DeviceList devices();

/// Checks that a text may name a device: auto, cpu, reference, cuda, opencl, the last two with a
/// number behind a colon if wanted. Asks no driver.
/// Errors    Usage, with the names that may be
[[nodiscard]] Result<void> check_device_name(std::string_view name);

/// Returns the device of a name; `opencl` is `opencl:0`, and `auto` is `cpu`. Devices live as long as the process.
/// Errors    Usage, with what was looked for and found; Device, when the driver refuses
[[nodiscard]] Result<Device*> find_device(std::string_view name);

/// Returns the devices besides the CPU that `auto` may look at, or why there are none. Asks drivers
/// only on a machine that has a file of a graphics card, because OpenCL on a CPU would take a hundred
/// megabytes for nothing.
[[nodiscard]] DeviceList offered_devices();

}  // namespace starling::compute
