// Goal: a newcomer waits as long as it must and never longer, and training begins with as many
// peers as the founder asked for. Method: the machines alone, with a clock that the tests set.

#include "peer/session/arrival.hpp"

#include <gtest/gtest.h>

namespace starling::peer {
namespace {

using std::chrono::seconds;

constexpr Instant kStart = Instant{} + seconds(1000);
constexpr Duration kTick = Duration(1);

/// A newcomer among others that have begun to train.
ArrivalInputs fetching() {
    ArrivalInputs inputs;
    inputs.fetching = true;
    inputs.trainers = true;
    inputs.prepared = true;
    inputs.data = true;
    return inputs;
}

class ANewcomer : public ::testing::Test {
protected:
    ANewcomer() { arrival_.begin(kStart); }

    ArrivalStep after(Duration time) { return arrival_.advance(kStart + time, inputs_); }

    Arrival arrival_;
    ArrivalInputs inputs_ = fetching();
};

TEST_F(ANewcomer, TrainsOnceParametersTrainerAndDataAreHere) {
    for (const auto missing :
         {&ArrivalInputs::fetching, &ArrivalInputs::prepared, &ArrivalInputs::data}) {
        inputs_ = fetching();
        inputs_.fetching = false;
        inputs_.*missing = missing == &ArrivalInputs::fetching;
        EXPECT_EQ(after(seconds(1)), ArrivalStep::Wait);
    }
    inputs_ = fetching();
    inputs_.fetching = false;
    EXPECT_EQ(after(seconds(1)), ArrivalStep::Train);
}

TEST_F(ANewcomer, StartsFromTheSeedWhenNobodyHasTrainedForTenSeconds) {
    inputs_.trainers = false;
    EXPECT_EQ(after(seconds(10)), ArrivalStep::Wait);
    EXPECT_EQ(after(seconds(10) + kTick), ArrivalStep::FromSeed);
}

TEST_F(ANewcomer, CountsTheTenSecondsFromWhenSomebodyLastTrained) {
    EXPECT_EQ(after(seconds(9)), ArrivalStep::Wait);
    inputs_.trainers = false;
    EXPECT_EQ(after(seconds(19)), ArrivalStep::Wait);
    EXPECT_EQ(after(seconds(19) + kTick), ArrivalStep::FromSeed);
}

TEST_F(ANewcomer, StartsFromNothingWhenThoseThatTrainHaveGivenNothingForAMinute) {
    EXPECT_EQ(after(seconds(60)), ArrivalStep::Wait);
    EXPECT_EQ(after(seconds(60) + kTick), ArrivalStep::FromNothing);
}

TEST_F(ANewcomer, StartsFromTheSeedWhenThoseThatGaveNothingHaveLeft) {
    EXPECT_EQ(after(seconds(59)), ArrivalStep::Wait);
    inputs_.trainers = false;
    EXPECT_EQ(after(seconds(69)), ArrivalStep::Wait);
    EXPECT_EQ(after(seconds(69) + kTick), ArrivalStep::FromSeed);
}

TEST_F(ANewcomer, CountsTheMinuteFromTheLastChunk) {
    inputs_.chunks = 1;
    EXPECT_EQ(after(seconds(50)), ArrivalStep::Wait);
    EXPECT_EQ(after(seconds(110)), ArrivalStep::Wait);
    EXPECT_EQ(after(seconds(110) + kTick), ArrivalStep::FromNothing);
}

TEST_F(ANewcomer, WithItsParametersWaitsForAShardAsLongAsOthersAreThere) {
    inputs_.fetching = false;
    inputs_.data = false;
    inputs_.trainers = false;
    EXPECT_EQ(after(seconds(3600)), ArrivalStep::Wait);
}

TEST_F(ANewcomer, EndsWhenItHasBeenAloneForTwentySeconds) {
    inputs_.fetching = false;
    inputs_.data = false;
    EXPECT_EQ(after(seconds(5)), ArrivalStep::Wait);
    inputs_.alone = true;
    EXPECT_EQ(after(seconds(25) - kTick), ArrivalStep::Wait);
    EXPECT_EQ(after(seconds(25)), ArrivalStep::Deserted);
}

TEST_F(ANewcomer, DoesNotEndWhileItsTrainerReadsLocalShards) {
    inputs_.fetching = false;
    inputs_.data = false;
    inputs_.alone = true;
    inputs_.prepared = false;
    EXPECT_EQ(after(seconds(100)), ArrivalStep::Wait);
    inputs_.prepared = true;
    EXPECT_EQ(after(seconds(120) - kTick), ArrivalStep::Wait);
    EXPECT_EQ(after(seconds(120)), ArrivalStep::Deserted);
}

TEST(Readiness, ComesWithTheLastPeerAndIsToldOnce) {
    Readiness readiness(3);
    EXPECT_FALSE(readiness.advance({.ready = 2, .begun = false, .ours = true}));
    EXPECT_FALSE(readiness.enough());
    EXPECT_TRUE(readiness.advance({.ready = 3, .begun = false, .ours = true}));
    EXPECT_TRUE(readiness.enough());
    EXPECT_FALSE(readiness.advance({.ready = 3, .begun = false, .ours = true})) << "only once";
    EXPECT_FALSE(readiness.advance({.ready = 1, .begun = false, .ours = true}));
    EXPECT_TRUE(readiness.enough()) << "who goes later stops nobody";
}

TEST(Readiness, DoesNotMatterWhereSomebodyHasTrained) {
    Readiness readiness(3);
    EXPECT_TRUE(readiness.advance({.ready = 1, .begun = true, .ours = false}));
    EXPECT_EQ(readiness.poll_news(), std::nullopt);
}

TEST(Readiness, TellsHowManyThereAreWhenThatChangesAndWeAreOneOfThem) {
    Readiness readiness(4);
    EXPECT_FALSE(readiness.advance({.ready = 1, .begun = false, .ours = false}));
    EXPECT_EQ(readiness.poll_news(), std::nullopt) << "we are not ready ourselves";
    EXPECT_FALSE(readiness.advance({.ready = 2, .begun = false, .ours = true}));
    EXPECT_EQ(readiness.poll_news(), 2U);
    EXPECT_EQ(readiness.poll_news(), std::nullopt);
    EXPECT_FALSE(readiness.advance({.ready = 2, .begun = false, .ours = true}));
    EXPECT_EQ(readiness.poll_news(), std::nullopt) << "that is no news";
    EXPECT_FALSE(readiness.advance({.ready = 3, .begun = false, .ours = true}));
    EXPECT_EQ(readiness.poll_news(), 3U);
}

}  // namespace
}  // namespace starling::peer
