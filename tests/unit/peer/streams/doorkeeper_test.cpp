// Goal: strangers take nothing that others need. Method: the machine alone, in time that the test makes.

#include "peer/streams/doorkeeper.hpp"

#include <gtest/gtest.h>

namespace starling::peer {
namespace {

using Ticket = Doorkeeper::Ticket;
using std::chrono::milliseconds;
using std::chrono::seconds;

Endpoint from(std::uint8_t n) {
    return Endpoint::v4(0x0a000000U + n, 40000);
}

class DoorkeeperTest : public ::testing::Test {
protected:
    Ticket speaks(std::uint8_t source) {
        const auto ticket = door_.arrive(now_, from(source));
        door_.spoke(now_, ticket);
        return ticket;
    }

    std::vector<Ticket> admitted() {
        std::vector<Ticket> all;
        while (const auto one = door_.poll_admitted(now_)) all.push_back(*one);
        return all;
    }

    std::vector<Ticket> dismissed() {
        std::vector<Ticket> all;
        while (const auto one = door_.poll_dismissed(now_)) all.push_back(*one);
        return all;
    }

    Doorkeeper door_;
    Instant now_ = Instant{} + seconds(100);
};

TEST_F(DoorkeeperTest, WhoSaysNothingGetsNoPlaceAndLeavesAfterTwoSeconds) {
    const auto silent = door_.arrive(now_, from(1));
    EXPECT_TRUE(admitted().empty());
    EXPECT_EQ(door_.poll_timeout(now_), now_ + Doorkeeper::kSilenceMax);
    now_ += Doorkeeper::kSilenceMax - milliseconds(1);
    EXPECT_TRUE(dismissed().empty());
    now_ += milliseconds(1);
    EXPECT_EQ(dismissed(), std::vector<Ticket>{silent});
    EXPECT_EQ(door_.strangers(), 0U);
}

TEST_F(DoorkeeperTest, SilentOnesDoNotHoldUpWhoSpeaksFromTheSameSource) {
    for (int i = 0; i < 40; ++i) (void)door_.arrive(now_, from(1));
    const auto honest = speaks(1);
    EXPECT_EQ(admitted(), std::vector<Ticket>{honest});
}

TEST_F(DoorkeeperTest, ASourceHasEightPlacesAndTheNinthWaitsForOne) {
    std::vector<Ticket> all;
    for (std::size_t i = 0; i < Doorkeeper::kPerSourceMax + 1; ++i) all.push_back(speaks(1));
    const auto first = admitted();
    EXPECT_EQ(first.size(), Doorkeeper::kPerSourceMax);
    const auto other = speaks(2);
    EXPECT_EQ(admitted(), std::vector<Ticket>{other}) << "another source has places of its own";
    door_.proven(first[3]);
    EXPECT_EQ(admitted(), std::vector<Ticket>{all.back()});
}

TEST_F(DoorkeeperTest, WhoWaitsTooLongIsSentAway) {
    for (std::size_t i = 0; i < Doorkeeper::kPerSourceMax; ++i) speaks(1);
    (void)admitted();
    const auto late = speaks(1);
    now_ += Doorkeeper::kWaitMax;
    EXPECT_EQ(dismissed(), std::vector<Ticket>{late});
}

TEST_F(DoorkeeperTest, AboveTheLimitTheOldestOfWhoHasMostGivesWay) {
    const auto honest = door_.arrive(now_, from(2));
    const auto oldest = door_.arrive(now_, from(1));
    for (std::size_t i = 2; i < Doorkeeper::kStrangersMax; ++i) (void)door_.arrive(now_, from(1));
    EXPECT_TRUE(dismissed().empty());
    (void)door_.arrive(now_, from(3));
    EXPECT_EQ(dismissed(), std::vector<Ticket>{oldest});
    EXPECT_EQ(door_.strangers(), Doorkeeper::kStrangersMax);
    door_.spoke(now_, honest);
    EXPECT_EQ(admitted(), std::vector<Ticket>{honest});
}

TEST_F(DoorkeeperTest, FailuresOfASourceAreLimitedAndThoseThatSucceedAreNone) {
    // A thousand honest ones, one after the other, in no time.
    for (int i = 0; i < 1000; ++i) {
        const auto honest = speaks(1);
        ASSERT_EQ(admitted(), std::vector<Ticket>{honest}) << i;
        door_.proven(honest);
    }
    int begun = 0;
    for (int i = 0; i < 100; ++i) {
        const auto bad = speaks(1);
        for (const auto one : admitted()) {
            ++begun;
            door_.gone(one);
        }
        door_.gone(bad);
    }
    EXPECT_EQ(begun, static_cast<int>(Doorkeeper::kFailuresPerSource));
    const auto honest = speaks(1);
    EXPECT_TRUE(admitted().empty());
    const auto next = door_.poll_timeout(now_);
    ASSERT_TRUE(next.has_value());
    EXPECT_LE(*next, now_ + milliseconds(150));
    now_ = *next;
    EXPECT_EQ(admitted(), std::vector<Ticket>{honest});
}

TEST_F(DoorkeeperTest, FailuresOfAllSourcesTogetherAreLimited) {
    int begun = 0;
    for (int round = 0; round < 10; ++round) {
        for (int source = 0; source < 250; ++source) {
            const auto bad = speaks(static_cast<std::uint8_t>(source));
            begun += static_cast<int>(admitted().size());
            door_.gone(bad);
        }
    }
    EXPECT_EQ(begun, static_cast<int>(Doorkeeper::kFailuresMax));
}

TEST_F(DoorkeeperTest, AGuestKeepsItsPlaceAndIsNoFailure) {
    for (int i = 0; i < 100; ++i) {
        const auto guest = speaks(1);
        ASSERT_EQ(admitted().size(), 1U) << i;
        door_.greeted(guest);
        door_.gone(guest);
    }
    for (std::size_t i = 0; i < Doorkeeper::kPerSourceMax; ++i) {
        const auto guest = speaks(1);
        ASSERT_EQ(admitted().size(), 1U);
        door_.greeted(guest);
    }
    speaks(1);
    EXPECT_TRUE(admitted().empty());
}

TEST_F(DoorkeeperTest, AHouseholdWithIpv6IsOneSource) {
    const auto v6 = [](std::uint8_t network, std::uint8_t host) {
        Endpoint at;
        at.address = {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, network, 0, 0, 0, 0, 0, 0, 0, host};
        return at;
    };
    for (std::uint8_t host = 0; host < Doorkeeper::kPerSourceMax; ++host) {
        door_.spoke(now_, door_.arrive(now_, v6(1, host)));
    }
    EXPECT_EQ(admitted().size(), Doorkeeper::kPerSourceMax);
    door_.spoke(now_, door_.arrive(now_, v6(1, 99)));
    EXPECT_TRUE(admitted().empty());
    door_.spoke(now_, door_.arrive(now_, v6(2, 99)));
    EXPECT_EQ(admitted().size(), 1U);
}

}  // namespace
}  // namespace starling::peer
