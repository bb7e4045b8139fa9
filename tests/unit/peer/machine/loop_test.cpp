// Goal: the loop's lag is how late its timers fire. Method: on a real loop a handler keeps it busy
// past a deadline.

#include "peer/machine/loop.hpp"

#include <gtest/gtest.h>

#include "peer/machine/clock.hpp"

namespace starling::peer {
namespace {

using std::chrono::milliseconds;

TEST(Loop, ATimerThatABusyLoopKeepsWaitingCountsAsLate) {
    Loop loop;
    Timer timer(loop, [&] { loop.stop(); });
    const auto due = real_now() + milliseconds(1);
    timer.arm(due);
    loop.post([due] {
        while (real_now() < due + milliseconds(3)) {
        }
    });
    loop.run();
    EXPECT_EQ(loop.lag().count(), 1U);
    EXPECT_GE(loop.lag().max(), milliseconds(3));
}

TEST(Loop, ADeadlineThatHasPassedWhenItIsArmedIsNotTheLoopsLag) {
    Loop loop;
    Timer timer(loop, [&] { loop.stop(); });
    const auto armed = real_now();
    timer.arm(armed - std::chrono::hours(1));
    loop.run();
    EXPECT_EQ(loop.lag().count(), 1U);
    EXPECT_LE(loop.lag().max(), real_now() - armed);
}

}  // namespace
}  // namespace starling::peer
