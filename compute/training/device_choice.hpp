#pragma once

// Which device `auto` takes, and the sentence that says why. Whoever gathers the facts of a device
// asks objection() after each, and asks no more once there is one: drivers, locks and measurements
// cost more from fact to fact.

#include <optional>
#include <span>
#include <string>

#include "compute/device/device_info.hpp"
#include "compute/training/device_memory.hpp"

namespace starling::compute {

/// What is known of a device besides the CPU.
struct Candidate {
    DeviceInfo info;
    std::optional<DeviceFit> fit;  ///< of this model in its memory
    std::string taken_by;          ///< who else computes there; empty: nobody, or not asked yet
    std::string fault;             ///< why it cannot compute this model; empty: not known to fail
    std::optional<double> step_seconds;  ///< measured
};

/// What is known of the CPU.
struct HostFacts {
    std::optional<double> step_seconds;  ///< nothing: not measured, or it cannot
    std::string fault;                   ///< why it cannot
};

/// Where an engine computes, and why there.
struct DeviceChoice {
    std::string device;    ///< cpu, opencl:0
    std::string why;       ///< for people; empty where nothing was chosen
    bool notable = false;  ///< there is something that people do not expect of any machine
};

/// Returns what speaks against the device by what is known so far, with its name and model; empty: nothing.
/// A device that took at least as long for a step as the CPU is no gain.
[[nodiscard]] std::string objection(const Candidate& candidate, const HostFacts& host);

/// Takes the first device that has been measured and that nothing speaks against, else the CPU.
/// `missing` says why there is no candidate at all, which is notable where a card is there without its driver.
[[nodiscard]] DeviceChoice choose_device(
    std::span<const Candidate> candidates, const HostFacts& host, const MissingDevice& missing
);

}  // namespace starling::compute
