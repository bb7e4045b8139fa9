// Goal: three bytes say how long a member takes to answer. Method: beside the same estimate in doubles.

#include "membership/pair_timing.hpp"

#include <chrono>
#include <cmath>
#include <gtest/gtest.h>

#include "base/rng.hpp"

namespace starling::membership {
namespace {

using namespace std::chrono_literals;

TEST(PairTiming, KnowsNothingBeforeTheFirstRoundTrip) {
    static_assert(sizeof(PairTiming) == 3);
    PairTiming timing;
    EXPECT_FALSE(timing.known());
    timing.sample(Duration::zero());
    EXPECT_TRUE(timing.known());
    EXPECT_LE(timing.timeout(), 5ms);
}

TEST(PairTiming, FollowsTheEstimateInDoubles) {
    for (const double mean : {0.002, 0.08, 0.5, 2.0, 12.0}) {
        Rng rng(3);
        PairTiming timing;
        double average = 0.0;
        double deviation = 0.0;
        for (int i = 0; i < 500; ++i) {
            const double trip = mean * (0.8 + 0.4 * rng.uniform());
            timing.sample(from_seconds(trip));
            if (i == 0) {
                average = trip;
                deviation = trip / 8.0;
                continue;
            }
            const double error = trip - average;
            average += error / 8.0;
            deviation += (std::abs(error) - deviation) / 4.0;
        }
        EXPECT_NEAR(to_seconds(timing.mean()), average, 0.02 * mean + 2e-3) << mean;
        const double timeout = average + 4.0 * deviation;
        EXPECT_NEAR(to_seconds(timing.timeout()), timeout, 0.1 * mean + 5e-3) << mean;
    }
}

TEST(PairTiming, AWayThatBecomesLongIsSoonWaitedForAndIsBounded) {
    PairTiming timing;
    for (int i = 0; i < 20; ++i) timing.sample(2ms);
    timing.sample(1s);
    EXPECT_GT(timing.timeout(), 1s) << "after one answer";
    for (int i = 0; i < 40; ++i) timing.sample(1s);
    EXPECT_NEAR(to_seconds(timing.mean()), 1.0, 0.02);
    EXPECT_LT(timing.timeout(), 1100ms);
    for (int i = 0; i < 100; ++i) timing.sample(std::chrono::hours(1));
    EXPECT_LE(timing.mean(), 30s);
    EXPECT_LE(timing.timeout(), 160s);
}

}  // namespace
}  // namespace starling::membership
