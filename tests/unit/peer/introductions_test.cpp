// Goal: named addresses are dialled for as long as they are not known to live, neither never again
// nor in a storm. Method: a clock by hand.

#include "peer/introductions.hpp"

#include <gtest/gtest.h>

namespace starling::peer {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

Endpoint address(std::uint32_t number) {
    return Endpoint::v4(0x0a000000U + number, 7000);
}

bool nobody(const Endpoint& /*address*/) {
    return false;
}

bool everybody(const Endpoint& /*address*/) {
    return true;
}

TEST(Introductions, DeadSeedIsDialledForEverButEverLessOften) {
    Introductions introductions{Rng(1)};
    Instant now{};
    introductions.add(now, address(1));
    introductions.add(now, address(1));
    EXPECT_EQ(introductions.size(), 1U);
    std::size_t first_minute = 0;
    std::size_t last_hour = 0;
    while (now < Instant{} + minutes(180)) {
        ASSERT_GT(introductions.next() + seconds(1), now);
        now = std::max(now, introductions.next());
        const auto dialled = introductions.take_due(now, nobody).size();
        ASSERT_EQ(dialled, 1U);
        if (now < Instant{} + minutes(1)) first_minute += dialled;
        if (now > Instant{} + minutes(120)) last_hour += dialled;
    }
    EXPECT_GE(first_minute, 5U);
    EXPECT_LE(first_minute, 12U);
    EXPECT_GE(last_hour, 60U);
    EXPECT_LE(last_hour, 200U);
}

TEST(Introductions, LivingSeedIsLeftAloneAndDialledSoonAfterItsDeath) {
    Introductions introductions{Rng(2)};
    Instant now{};
    introductions.add(now, address(1));
    for (int i = 0; i < 20; ++i) {
        now = introductions.next();
        EXPECT_TRUE(introductions.take_due(now, everybody).empty());
    }
    const auto died = now;
    now = introductions.next();
    EXPECT_EQ(introductions.take_due(now, nobody).size(), 1U);
    EXPECT_LE(now - died, seconds(10));
    EXPECT_LE(introductions.next() - now, seconds(1)) << "the back-off begins anew";
}

TEST(Introductions, ManyAddressesAreDialledAFewAtATimeAndAreBounded) {
    Introductions introductions{Rng(3)};
    const Instant now{};
    for (std::uint32_t i = 0; i < 1000; ++i) introductions.add(now, address(i));
    EXPECT_EQ(introductions.size(), kIntroductionsMax);
    std::size_t dialled = 0;
    std::size_t turns = 0;
    while (introductions.next() <= now) {
        const auto turn = introductions.take_due(now, nobody).size();
        EXPECT_LE(turn, 8U);
        dialled += turn;
        ++turns;
    }
    EXPECT_EQ(dialled, kIntroductionsMax);
    EXPECT_GE(turns, kIntroductionsMax / 8);
}

}  // namespace
}  // namespace starling::peer
