// Goal: what a timer says of the loop's lag is true. Method: the histogram by a table; on a real
// loop a handler that keeps it busy past a deadline.

#include "peer/loop.hpp"

#include <gtest/gtest.h>

#include "peer/clock.hpp"

namespace starling::peer {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

TEST(LagHistogram, CountsByUpperBoundAndKeepsTheSumAndTheLongest) {
    LagHistogram lag;
    for (const auto late : {microseconds(0), microseconds(200), microseconds(201)}) lag.add(late);
    lag.add(milliseconds(20));
    lag.add(milliseconds(700));
    EXPECT_EQ(lag.up_to(0), 2U);
    EXPECT_EQ(lag.up_to(1), 3U);
    EXPECT_EQ(lag.up_to(5), 3U);
    EXPECT_EQ(lag.up_to(6), 4U);
    EXPECT_EQ(lag.up_to(LagHistogram::kBounds.size() - 1), 4U);
    EXPECT_EQ(lag.count(), 5U);
    EXPECT_EQ(lag.sum(), microseconds(720'401));
    EXPECT_EQ(lag.max(), milliseconds(700));
}

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
