#include "peer/gathering.hpp"

#include <gtest/gtest.h>

namespace starling::peer {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// Payloads of 256 KiB that come in at a rate, bytes per second.
Gathering coming_in(double rate) {
    Gathering gathering;
    for (int i = 0; i < 50; ++i) {
        gathering.measured(
            Gathering::kBytes, from_seconds(static_cast<double>(Gathering::kBytes) / rate)
        );
    }
    return gathering;
}

TEST(Gathering, ReadsOnWhileNothingIsKnown) {
    Gathering gathering;
    EXPECT_EQ(gathering.wait(1 << 20), Duration::zero());
    gathering.measured(1000, milliseconds(20));  // a small one may have waited for its sender
    EXPECT_EQ(gathering.wait(1 << 20), Duration::zero());
}

TEST(Gathering, SleepsUntilTheRestMustBeThere) {
    const auto gathering = coming_in(12.5e6);
    EXPECT_NEAR(to_seconds(gathering.wait(1 << 20)), 256 * 1024 / 12.5e6, 1e-4);
    EXPECT_NEAR(to_seconds(gathering.wait(125'000)), 10e-3, 1e-4);
}

TEST(Gathering, NeverSleepsLongOrForNothing) {
    EXPECT_LE(coming_in(1e4).wait(1 << 20), milliseconds(25));
    EXPECT_GE(coming_in(12.5e6).wait(1), std::chrono::microseconds(400));
}

TEST(Gathering, LeavesAFastStreamToTheKernel) {
    const auto gathering = coming_in(2e9);
    EXPECT_TRUE(gathering.fast());
    EXPECT_EQ(gathering.wait(1 << 20), Duration::zero());
    EXPECT_FALSE(coming_in(12.5e6).fast());
}

TEST(Gathering, APayloadThatWaitedForUsDoesNotPassForAFastStream) {
    auto gathering = coming_in(12.5e6);
    gathering.measured(Gathering::kBytes, std::chrono::microseconds(20));
    EXPECT_FALSE(gathering.fast());
    EXPECT_GT(to_seconds(gathering.wait(1 << 20)), 0.7 * 256 * 1024 / 12.5e6);
}

}  // namespace
}  // namespace starling::peer
