// Goal: the newest measurements count most, and a mean over many of them does not change at once.
// Method: known weights.

#include "base/running_mean.hpp"

#include <gtest/gtest.h>

namespace starling {
namespace {

TEST(RunningMean, BeginsWithItsFirstPartAndThenHalvesWhatIsOlder) {
    RunningMean mean;
    mean.add(0.5, 1.0);
    EXPECT_DOUBLE_EQ(mean.mean(), 0.5);
    mean.add(0.8, 1.0);
    EXPECT_DOUBLE_EQ(mean.mean(), (0.5 * 0.5 + 0.8) / 1.5);
    for (int i = 0; i < 60; ++i) mean.add(0.8, 1.0);
    EXPECT_NEAR(mean.mean(), 0.8, 1e-12);
    mean.add(0.6, 1.0);
    EXPECT_NEAR(mean.mean(), 0.7, 1e-12) << "the newest counts for half";
}

TEST(RunningMean, ASmallPartMovesItLittle) {
    RunningMean mean;
    for (int i = 0; i < 60; ++i) mean.add(0.8, 1.0);
    mean.add(0.0, 0.1);
    EXPECT_NEAR(mean.mean(), 0.8 / 1.1, 1e-12);
}

TEST(RunningMean, AMeanOverManyPartsIsForgottenSlowly) {
    RunningMean mean;
    mean.restart(0.9, 40.0);
    EXPECT_DOUBLE_EQ(mean.mean(), 0.9);
    mean.add(0.5, 1.0);
    EXPECT_NEAR(mean.mean(), (20.0 * 0.9 + 0.5) / 21.0, 1e-12);
    for (int i = 0; i < 10; ++i) mean.add(0.5, 1.0);
    EXPECT_NEAR(mean.mean(), 0.5, 0.01);
}

}  // namespace
}  // namespace starling
