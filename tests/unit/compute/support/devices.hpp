#pragma once

// On which devices the tests compute: those that STARLING_TEST_DEVICES names, separated by commas,
// else the CPU. tests/unit/compute/CMakeLists.txt runs them once more on OpenCL.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <gtest/gtest.h>
#include <memory>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "compute/arena/parameter_store.hpp"
#include "compute/device/device.hpp"
#include "compute/training/devices.hpp"
#include "compute/training/optimizer.hpp"

namespace starling::compute {

/// Returns the devices that are named. A program without one of them is skipped by ctest, which takes
/// the exit code for that, unless STARLING_TEST_DEVICES_REQUIRED says that they must be there.
inline std::vector<Device*> test_devices() {
    const char* given = std::getenv("STARLING_TEST_DEVICES");  // NOLINT(concurrency-mt-unsafe)
    const char* required =
        std::getenv("STARLING_TEST_DEVICES_REQUIRED");  // NOLINT(concurrency-mt-unsafe)
    constexpr int kSkip = 77;
    std::istringstream names(given == nullptr ? "cpu" : given);
    std::vector<Device*> found;
    for (std::string name; std::getline(names, name, ',');) {
        const auto device = find_device(name);
        if (device) {
            found.push_back(*device);
            continue;
        }
        std::fprintf(stderr, "skipped: %s\n", device.error().message.c_str());
        std::_Exit(required == nullptr ? kSkip : 1);
    }
    return found;
}

/// The first of them, for tests that need one device.
inline Device& test_device() {
    static Device* const first = test_devices().at(0);
    return *first;
}

/// Returns whether the device can be asked for bf16. Each CPU can: it emulates what it does not have.
inline bool has_bf16(Device& device) {
    const auto known = device.info().precisions;
    return device.name() == "cpu" || std::find(known.begin(), known.end(), "bf16") != known.end();
}

inline std::vector<float> read(Device& device, DeviceSpan range) {
    std::vector<float> floats(range.size());
    const auto copied = device.copy_out(range, floats);
    EXPECT_TRUE(copied.has_value()) << copied.error().message;
    return floats;
}

/// One step with a gradient that lies in the host's memory.
inline bool make_step(
    Device& device,
    Optimizer& optimizer,
    ParameterStore& store,
    std::span<const float> gradient,
    double rate,
    PlanCopies* copies = nullptr
) {
    const auto memory = device.allocate(gradient.size());
    EXPECT_TRUE(memory.has_value()) << memory.error().message;
    EXPECT_TRUE(device.copy_in(gradient, DeviceSpan(**memory)).has_value());
    const auto done = optimizer.step(store, DeviceSpan(**memory), rate, copies);
    EXPECT_TRUE(done.has_value()) << done.error().message;
    return done && *done;
}

}  // namespace starling::compute
