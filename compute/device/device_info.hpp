#pragma once

// What there is to compute with, for people and for the choice of a device.

#include <cstdint>
#include <string>
#include <vector>

namespace starling::compute {

enum class DeviceKind : std::uint8_t { Cpu, Gpu, Other };

struct DeviceInfo {
    std::string name;  ///< as find_device() takes it: cpu, opencl:0
    DeviceKind kind = DeviceKind::Cpu;
    std::string model;  ///< of the processor, with its driver
    /// Tells the hardware from any other on this machine, whichever driver names it. Empty: the CPU.
    std::string identity;
    std::uint64_t memory_bytes = 0;          ///< that there is, whoever uses it
    std::uint64_t allocation_bytes_max = 0;  ///< of one piece; 0: no bound but the memory
    std::vector<std::string> precisions;     ///< f32, bf16
    std::string libraries;                   ///< what multiplies there
    std::string state;                       ///< ready, or why it cannot be used
    bool ready = false;
};

/// Something that was looked for and not found.
struct MissingDevice {
    std::string name;  ///< opencl, opencl:1
    std::string why;   ///< one line: what is not there, and what it costs
};

struct DeviceList {
    std::vector<DeviceInfo> devices;
    std::vector<MissingDevice> missing;
};

}  // namespace starling::compute
