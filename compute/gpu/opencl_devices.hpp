#pragma once

// The devices that OpenCL offers here, in the order of its platforms: opencl:0 is the first.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "compute/device/device_info.hpp"
#include "compute/gpu/opencl_api.hpp"

namespace starling::compute::gpu {

struct OpenClDevice {
    DeviceInfo info;
    cl::Device id = nullptr;
    std::size_t group_max = 0;
};

/// What a driver says of the hardware behind a device.
struct Hardware {
    std::optional<std::array<std::uint32_t, 4>> bus;  ///< PCI: domain, bus, device, function
    std::optional<std::array<std::uint8_t, 16>> uuid;
};

/// Returns a text that tells the hardware from any other of this machine: its place on the bus, which all
/// drivers of a card agree on, else its number, else the device's own name and model.
[[nodiscard]] std::string identity_of(const Hardware& hardware, const DeviceInfo& info);

/// Returns all devices, also those that cannot be used, whose info says why.
/// Errors    NotFound: no library, no driver, no device; one line for people
/// Thread    any; drivers are asked once a process
[[nodiscard]] Result<std::vector<OpenClDevice>> opencl_devices();

}  // namespace starling::compute::gpu
