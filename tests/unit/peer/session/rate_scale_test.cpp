// Goal: the learning rate follows the number of peers that are one model, slowly, and no further than was
// asked. Method: numbers of peers and distances by hand on a clock that the test moves.

#include "peer/session/rate_scale.hpp"

#include <gtest/gtest.h>
#include <limits>

namespace starling::peer {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// Shows the same for a minute, and returns the factor.
double after_a_minute(RateScale& scale, Instant& now, const RateScale::Inputs& inputs) {
    for (int i = 0; i < 600; ++i) {
        now += milliseconds(100);
        (void)scale.update(now, inputs);
    }
    return scale.factor();
}

TEST(RateScale, IsTheRootOfTheNumberOfPeersThatAreOneModel) {
    for (const auto& [peers, factor] :
         {std::pair<std::uint64_t, double>{1, 1.0}, {4, 2.0}, {9, 3.0}}) {
        RateScale scale(65536);
        Instant now{};
        EXPECT_NEAR(after_a_minute(scale, now, {peers, 0.01, 0.05}), factor, 0.03);
    }
}

TEST(RateScale, IsLessWherePeersAreApartAndNoneBeforeTheyHaveMet) {
    RateScale scale(65536);
    Instant now{};
    EXPECT_EQ(after_a_minute(scale, now, {4, std::nullopt, 0.05}), 1.0);
    EXPECT_NEAR(after_a_minute(scale, now, {4, 0.1, 0.05}), 1.5, 0.02);
    EXPECT_NEAR(after_a_minute(scale, now, {4, 1e9, 0.05}), 1.0, 0.02);
    constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
    EXPECT_NEAR(after_a_minute(scale, now, {4, kNan, 0.05}), 1.0, 0.02);
}

TEST(RateScale, IsNoMoreThanWasAskedFor) {
    RateScale scale(4);
    Instant now{};
    EXPECT_NEAR(after_a_minute(scale, now, {100, 0.0, 0.05}), 2.0, 0.02);
    RateScale none(0);
    EXPECT_EQ(after_a_minute(none, now, {100, 0.0, 0.05}), 1.0);
}

TEST(RateScale, FollowsSlowlyWhoComesAndGoes) {
    RateScale scale(65536);
    Instant now{};
    (void)after_a_minute(scale, now, {4, 0.0, 0.05});
    double before = scale.factor();
    for (int i = 0; i < 100; ++i) {
        now += milliseconds(100);
        (void)scale.update(now, {1, 0.0, 0.05});
        EXPECT_LT(before - scale.factor(), 0.04);
        before = scale.factor();
    }
    EXPECT_NEAR(scale.factor(), 1.29, 0.03) << "37 % of the way are left after 10 s, in logarithms";
}

TEST(RateScale, TellsOfChangesThatMatter) {
    RateScale scale(65536);
    Instant now{};
    EXPECT_FALSE(scale.update(now, {4, 0.0, 0.05})) << "no time has passed";
    int told = 0;
    for (int i = 0; i < 6000; ++i) {
        now += milliseconds(100);
        if (scale.update(now, {4, 0.0, 0.05})) ++told;
    }
    EXPECT_GT(told, 10);
    EXPECT_LT(told, 70) << "a hundredth at a time";
}

}  // namespace
}  // namespace starling::peer
