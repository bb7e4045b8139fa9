// Goal: the weight of a peer is the power of two nearest to its speed and changes seldom. Method: speeds
// by hand on a clock that the test moves.

#include "peer/session/mix_weight.hpp"

#include <cmath>
#include <gtest/gtest.h>

namespace starling::peer {
namespace {

using std::chrono::seconds;

MixWeight::Inputs measured(double speed, std::uint64_t samples = 0, std::uint64_t duty = 0) {
    MixWeight::Inputs inputs;
    inputs.speed = speed;
    inputs.samples = samples;
    inputs.duty = duty;
    return inputs;
}

TEST(MixWeight, IsTheNearestPowerOfTwo) {
    for (const double speed : {0.01, 1.0, 1.4, 1.5, 90.0, 91.0, 100'000.0}) {
        MixWeight weight;
        EXPECT_FALSE(weight.update(Instant{}, {}));
        EXPECT_EQ(weight.log2(), std::nullopt) << "nothing was measured";
        EXPECT_TRUE(weight.update(Instant{}, measured(std::log2(speed))));
        EXPECT_EQ(*weight.log2(), std::lround(std::log2(speed))) << speed;
    }
}

TEST(MixWeight, FitsTheWireWhateverTheSpeed) {
    for (const double speed : {-1e9, 1e9}) {
        MixWeight weight;
        EXPECT_TRUE(weight.update(Instant{}, measured(speed)));
        EXPECT_EQ(*weight.log2(), speed > 0 ? 64 : -64);
    }
}

TEST(MixWeight, ChangesOnceAMinuteAndOnceAnEpochAtMost) {
    MixWeight weight;
    Instant now{seconds(500)};
    std::uint64_t samples = 5000;
    ASSERT_TRUE(weight.update(now, measured(3.0, samples, 100)));
    now += seconds(59);
    samples += 100;
    EXPECT_FALSE(weight.update(now, measured(5.0, samples, 100))) << "too soon";
    now += seconds(1);
    EXPECT_FALSE(weight.update(now, measured(5.0, samples, 101))) << "the epoch is not over";
    EXPECT_TRUE(weight.update(now, measured(5.0, samples, 100)));
    EXPECT_EQ(weight.log2(), 5);
}

TEST(MixWeight, DoesNotGoToAndFroBetweenTwoPowers) {
    MixWeight weight;
    Instant now{};
    int changes = 0;
    for (int i = 0; i < 100; ++i) {
        now += seconds(70);
        if (weight.update(now, measured(3.5 + (i % 2 == 0 ? 0.2 : -0.2)))) ++changes;
    }
    EXPECT_EQ(changes, 1);
}

TEST(MixWeight, OfANewcomerIsAnEighthOfWhatIsUsualUntilItHasMeasured) {
    MixWeight weight;
    MixWeight::Inputs inputs;
    inputs.usual = 7.0;
    EXPECT_TRUE(weight.update(Instant{}, inputs));
    EXPECT_EQ(weight.log2(), 4);
    inputs.usual = 9.0;
    EXPECT_FALSE(weight.update(Instant{seconds(10)}, inputs)) << "it does not follow the others";
    EXPECT_EQ(weight.log2(), 4);
    EXPECT_TRUE(weight.update(Instant{seconds(25)}, measured(7.0, 10, 1000))) << "at once";
    EXPECT_EQ(weight.log2(), 7);
    EXPECT_FALSE(weight.update(Instant{seconds(30)}, inputs)) << "and it does not go back";
}

TEST(MixWeight, IsNoneWhereDataDiffer) {
    MixWeight weight;
    auto inputs = measured(3.0);
    inputs.usual = 3.0;
    inputs.equal = true;
    EXPECT_FALSE(weight.update(Instant{}, inputs));
    EXPECT_EQ(weight.log2(), std::nullopt);
}

}  // namespace
}  // namespace starling::peer
