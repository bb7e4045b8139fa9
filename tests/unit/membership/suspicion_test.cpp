// Goal: a suspect has as long as the formula says. Method: the table of the reference values.

#include "membership/suspicion.hpp"

#include <gtest/gtest.h>

#include "samples.hpp"

namespace starling::membership {
namespace {

TEST(SuspicionTimeout, GrowsWithTheLogarithmOfTheSwarm) {
    struct Case {
        std::size_t n;
        double seconds;
    };

    for (const auto& [n, seconds] :
         {Case{0, 4.0},
          Case{1, 4.0},
          Case{10, 4.0},
          Case{16, 4.816},
          Case{48, 6.725},
          Case{100, 8.0},
          Case{1000, 12.0},
          Case{10'000, 16.0}}) {
        EXPECT_NEAR(to_seconds(suspicion_timeout(SwimConfig{}, n)), seconds, 1e-3) << n;
    }
}

TEST(Suspicions, ExpireInOrderOfDeadlineUnlessCancelledOrPostponed) {
    const auto at = [](int seconds) { return Instant{} + std::chrono::seconds(seconds); };
    Suspicions suspicions;
    suspicions.start(peer(1), at(5));
    suspicions.start(peer(2), at(3));
    suspicions.start(peer(3), at(4));
    suspicions.start(peer(2), at(6));
    suspicions.cancel(peer(3));
    EXPECT_EQ(suspicions.next_deadline(), at(5));
    EXPECT_FALSE(suspicions.take_expired(at(4)).has_value());
    EXPECT_EQ(suspicions.take_expired(at(5)), peer(1));
    suspicions.postpone(at(9));
    EXPECT_FALSE(suspicions.take_expired(at(8)).has_value());
    EXPECT_EQ(suspicions.take_expired(at(9)), peer(2));
    EXPECT_FALSE(suspicions.next_deadline().has_value());
}

}  // namespace
}  // namespace starling::membership
