// Goal: the loop's lag is how late its timers fire. Method: on a real loop a handler keeps it busy
// past a deadline.

#include "peer/machine/loop.hpp"

#include <gtest/gtest.h>
#include <memory>

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

TEST(Loop, APosterOutlivesItsLoopAndThenDoesNothing) {
    auto loop = std::make_unique<Loop>();
    const auto post = loop->poster();
    bool done = false;
    post([&done] { done = true; });
    loop->run_until([&done] { return done; });
    loop.reset();
    auto token = std::make_shared<int>(0);
    post([token] { ++*token; });
    EXPECT_EQ(*token, 0);
    EXPECT_EQ(token.use_count(), 1);
}

}  // namespace
}  // namespace starling::peer
