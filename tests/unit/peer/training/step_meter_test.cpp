// Goal: the speed is that of the last seconds, the loss a running mean, and training has diverged
// after five unsound steps in a row or with bad parameters. Method: times and steps by hand.

#include "peer/training/step_meter.hpp"

#include <gtest/gtest.h>

#include "peer/training/divergence_watch.hpp"

namespace starling::peer {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Instant kStart{seconds(100)};

TEST(StepMeter, TheSpeedIsUnknownInTheFirstHalfSecond) {
    StepMeter meter;
    meter.start(kStart, 1000);
    EXPECT_FALSE(meter.samples_per_s(kStart, 1000).has_value());
    EXPECT_FALSE(meter.samples_per_s(kStart + milliseconds(500), 1100).has_value());
    EXPECT_DOUBLE_EQ(meter.samples_per_s(kStart + milliseconds(800), 1080).value(), 100.0);
}

TEST(StepMeter, AfterThreeSecondsTheSpanStartsAnew) {
    StepMeter meter;
    meter.start(kStart, 0);
    EXPECT_DOUBLE_EQ(meter.samples_per_s(kStart + seconds(3), 300).value(), 100.0);
    EXPECT_DOUBLE_EQ(meter.samples_per_s(kStart + seconds(4), 400).value(), 100.0);
    // The training of the last second alone counts now.
    EXPECT_FALSE(meter.samples_per_s(kStart + milliseconds(4500), 410).has_value());
    EXPECT_DOUBLE_EQ(meter.samples_per_s(kStart + seconds(5), 420).value(), 20.0);
}

TEST(StepMeter, DataWaitIsTheShareOfTimeOfTheLastSteps) {
    StepMeter meter;
    EXPECT_DOUBLE_EQ(meter.data_wait(), 0.0);
    const auto step = [&meter](Duration wait) {
        meter.add_step(kStart, kStart + wait, kStart + milliseconds(4));
    };
    EXPECT_DOUBLE_EQ(meter.step_seconds(), 0.0);
    step(milliseconds(1));
    EXPECT_DOUBLE_EQ(meter.step_seconds(), 0.003);
    EXPECT_DOUBLE_EQ(meter.data_wait(), 0.25);
    step(milliseconds(1));
    EXPECT_DOUBLE_EQ(meter.data_wait(), 0.25);
    // What is long ago does not count.
    for (int i = 0; i < 1000; ++i) step({});
    EXPECT_NEAR(meter.data_wait(), 0.0, 1e-6);
    EXPECT_NEAR(meter.step_seconds(), 0.004, 1e-9);
}

TEST(StepMeter, TheLongestStepHoldsWhatLiesBetweenStepsAndIsForgottenAfterAWhile) {
    StepMeter meter;
    meter.start(kStart, 0);
    auto at = kStart;
    const auto step = [&](Duration before) {
        at += before + milliseconds(10);
        meter.add_step(at - milliseconds(10), at - milliseconds(10), at);
    };
    for (int i = 0; i < 100; ++i) step({});
    EXPECT_EQ(meter.longest_step(), milliseconds(10));
    step(milliseconds(40));
    EXPECT_EQ(meter.longest_step(), milliseconds(50)) << "the pause before the step counts";
    for (int i = 0; i < 490; ++i) step({});
    EXPECT_EQ(meter.longest_step(), milliseconds(50)) << "five seconds are not over";
    for (int i = 0; i < 1100; ++i) step({});
    EXPECT_EQ(meter.longest_step(), milliseconds(10));
    // Training stood still by order, and goes on.
    at += seconds(60);
    meter.start(at, 0);
    step({});
    EXPECT_EQ(meter.longest_step(), milliseconds(10));
}

TEST(StepMeter, APauseDoesNotCount) {
    StepMeter meter;
    meter.start(kStart, 0);
    meter.start(kStart + seconds(100), 50);
    EXPECT_DOUBLE_EQ(meter.samples_per_s(kStart + seconds(102), 250).value(), 100.0);
}

TEST(StepMeter, TheLossIsARunningMeanThatStartsFromAStep) {
    StepMeter meter;
    EXPECT_EQ(meter.loss(), 0.0);
    meter.add_loss(2.0);
    EXPECT_EQ(meter.loss(), 2.0);
    meter.add_loss(1.0);
    EXPECT_DOUBLE_EQ(meter.loss(), 1.98);
    meter.forget_loss();
    EXPECT_DOUBLE_EQ(meter.loss(), 1.98) << "until the next step there is no better number";
    meter.add_loss(5.0);
    EXPECT_EQ(meter.loss(), 5.0);
}

TEST(DivergenceWatch, FiveUnsoundStepsInARowAreADivergence) {
    DivergenceWatch watch;
    for (int round = 0; round < 3; ++round) {
        for (std::size_t i = 1; i < DivergenceWatch::kUnsoundMax; ++i) watch.unsound_step();
        EXPECT_TRUE(watch.in_doubt());
        EXPECT_FALSE(watch.diverged());
        watch.sound_step();
        EXPECT_FALSE(watch.in_doubt());
    }
    for (std::size_t i = 0; i < DivergenceWatch::kUnsoundMax; ++i) watch.unsound_step();
    EXPECT_TRUE(watch.diverged());
    watch.sound_step();
    EXPECT_TRUE(watch.diverged()) << "only a restart ends it";
    watch.restart();
    EXPECT_FALSE(watch.diverged());
    EXPECT_FALSE(watch.in_doubt());
}

TEST(DivergenceWatch, BadParametersAreADivergenceAtOnce) {
    DivergenceWatch watch;
    watch.bad_parameters();
    EXPECT_TRUE(watch.diverged());
    watch.restart();
    EXPECT_FALSE(watch.diverged());
}

}  // namespace
}  // namespace starling::peer
