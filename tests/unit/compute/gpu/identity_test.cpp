// Goal: a card has one identity, whichever of its drivers names it, and two cards have two. Method:
// what drivers say, by hand; and what those of this machine say.

#include <gtest/gtest.h>

#include "compute/gpu/opencl_devices.hpp"

namespace starling::compute::gpu {
namespace {

TEST(DeviceIdentity, IsThePlaceOnTheBusElseTheNumberElseTheName) {
    DeviceInfo info;
    info.name = "opencl:1";
    info.model = "Arc";
    Hardware hardware;
    EXPECT_EQ(identity_of(hardware, info), "opencl:1 Arc");
    hardware.uuid.emplace();
    hardware.uuid->front() = 0xAB;
    hardware.uuid->back() = 7;
    EXPECT_EQ(identity_of(hardware, info), "uuid-ab000000000000000000000000000007");
    hardware.bus = {0x10000U, 0x3B, 0, 1};
    EXPECT_EQ(identity_of(hardware, info), "pci-10000:3b:00.1");
}

TEST(DeviceIdentity, EachDeviceOfThisMachineHasOne) {
    const auto found = opencl_devices();
    if (!found) GTEST_SKIP() << found.error().message;
    for (const auto& device : *found) EXPECT_NE(device.info.identity, "") << device.info.name;
}

}  // namespace
}  // namespace starling::compute::gpu
