// Goal: named addresses are dialled again and again while they are not known to be alive, but not
// too often. Method: the test moves a clock.

#include "peer/members/seed_schedule.hpp"

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

TEST(SeedSchedule, DeadSeedIsDialledForEverButEverLessOften) {
    SeedSchedule schedule{Rng(1)};
    Instant now{};
    schedule.add(now, address(1));
    schedule.add(now, address(1));
    EXPECT_EQ(schedule.size(), 1U);
    std::size_t first_minute = 0;
    std::size_t last_hour = 0;
    while (now < Instant{} + minutes(180)) {
        ASSERT_GT(schedule.next() + seconds(1), now);
        now = std::max(now, schedule.next());
        const auto dialled = schedule.take_due(now, nobody).size();
        ASSERT_EQ(dialled, 1U);
        if (now < Instant{} + minutes(1)) first_minute += dialled;
        if (now > Instant{} + minutes(120)) last_hour += dialled;
    }
    EXPECT_GE(first_minute, 5U);
    EXPECT_LE(first_minute, 12U);
    EXPECT_GE(last_hour, 60U);
    EXPECT_LE(last_hour, 200U);
}

TEST(SeedSchedule, LivingSeedIsLeftAloneAndDialledSoonAfterItsDeath) {
    SeedSchedule schedule{Rng(2)};
    Instant now{};
    schedule.add(now, address(1));
    for (int i = 0; i < 20; ++i) {
        now = schedule.next();
        EXPECT_TRUE(schedule.take_due(now, everybody).empty());
    }
    const auto died = now;
    now = schedule.next();
    EXPECT_EQ(schedule.take_due(now, nobody).size(), 1U);
    EXPECT_LE(now - died, seconds(10));
    EXPECT_LE(schedule.next() - now, seconds(1)) << "the back-off begins anew";
}

TEST(SeedSchedule, ManyAddressesAreDialledAFewAtATimeAndAreBounded) {
    SeedSchedule schedule{Rng(3)};
    const Instant now{};
    for (std::uint32_t i = 0; i < 1000; ++i) schedule.add(now, address(i));
    EXPECT_EQ(schedule.size(), kSeedsMax);
    std::size_t dialled = 0;
    std::size_t turns = 0;
    while (schedule.next() <= now) {
        const auto turn = schedule.take_due(now, nobody).size();
        EXPECT_LE(turn, 8U);
        dialled += turn;
        ++turns;
    }
    EXPECT_EQ(dialled, kSeedsMax);
    EXPECT_GE(turns, kSeedsMax / 8);
}

}  // namespace
}  // namespace starling::peer
