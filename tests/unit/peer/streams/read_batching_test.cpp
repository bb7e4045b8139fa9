// Goal: a reader sleeps until the rest of a payload must be there, and never long. Method: payloads
// with given times.

#include "peer/streams/read_batching.hpp"

#include <gtest/gtest.h>

namespace starling::peer {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// Returns what is known after payloads of 256 KiB came in at a rate, in bytes per second.
ReadBatching coming_in(double rate) {
    ReadBatching batching;
    for (int i = 0; i < 50; ++i) {
        batching.measured(
            ReadBatching::kBytes, from_seconds(static_cast<double>(ReadBatching::kBytes) / rate)
        );
    }
    return batching;
}

TEST(ReadBatching, ReadsOnWhileNothingIsKnown) {
    ReadBatching batching;
    EXPECT_EQ(batching.wait(1 << 20), Duration::zero());
    batching.measured(1000, milliseconds(20));  // a small payload may have waited for its sender
    EXPECT_EQ(batching.wait(1 << 20), Duration::zero());
}

TEST(ReadBatching, SleepsUntilTheRestMustBeThere) {
    const auto batching = coming_in(12.5e6);
    EXPECT_NEAR(to_seconds(batching.wait(1 << 20)), 256 * 1024 / 12.5e6, 1e-4);
    EXPECT_NEAR(to_seconds(batching.wait(125'000)), 10e-3, 1e-4);
}

TEST(ReadBatching, NeverSleepsLongOrForNothing) {
    EXPECT_LE(coming_in(1e4).wait(1 << 20), milliseconds(25));
    EXPECT_GE(coming_in(12.5e6).wait(1), std::chrono::microseconds(400));
}

TEST(ReadBatching, LeavesAFastStreamToTheKernel) {
    const auto batching = coming_in(2e9);
    EXPECT_TRUE(batching.fast());
    EXPECT_EQ(batching.wait(1 << 20), Duration::zero());
    EXPECT_FALSE(coming_in(12.5e6).fast());
}

TEST(ReadBatching, APayloadThatWaitedForUsDoesNotPassForAFastStream) {
    auto batching = coming_in(12.5e6);
    batching.measured(ReadBatching::kBytes, std::chrono::microseconds(20));
    EXPECT_FALSE(batching.fast());
    EXPECT_GT(to_seconds(batching.wait(1 << 20)), 0.7 * 256 * 1024 / 12.5e6);
}

}  // namespace
}  // namespace starling::peer
