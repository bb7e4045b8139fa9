// Goal: a suspect has as long as the formulae say, and no single accuser shortens that. Method: the
// table of the reference values; accusers one by one.

#include "membership/suspicion.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <map>

#include "tests/unit/membership/support/samples.hpp"

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

TEST(SuspicionBounds, AskForConfirmationsOnlyWhereEnoughOthersLive) {
    const SwimConfig config;
    for (const std::size_t up : {1U, 2U, 3U}) {
        const auto bounds = suspicion_bounds(config, 10, up);
        EXPECT_EQ(bounds.confirmations, 0U) << up;
        EXPECT_EQ(bounds.max, bounds.min) << up;
    }
    const auto bounds = suspicion_bounds(config, 10, 4);
    EXPECT_EQ(bounds.confirmations, 2U);
    EXPECT_NEAR(to_seconds(bounds.min), 4.0, 1e-3);
    EXPECT_NEAR(to_seconds(bounds.max), 24.0, 1e-3);
}

TEST(ConfirmedTimeout, FallsWithTheLogarithmOfTheConfirmations) {
    const auto bounds = suspicion_bounds(SwimConfig{}, 10, 10);
    EXPECT_EQ(confirmed_timeout(bounds, 0), bounds.max);
    EXPECT_NEAR(to_seconds(confirmed_timeout(bounds, 1)), 24.0 - 20.0 * 0.63093, 1e-3);
    EXPECT_EQ(confirmed_timeout(bounds, 2), bounds.min);
    EXPECT_NEAR(to_seconds(confirmed_timeout(bounds, 3)), 0.7 * 4.0, 1e-6) << "one to be sure";
    EXPECT_EQ(confirmed_timeout(bounds, 200), confirmed_timeout(bounds, 3));
    const SuspicionBounds single{bounds.min, bounds.max, 1};
    EXPECT_EQ(confirmed_timeout(single, 200), bounds.min) << "too few to be sure";
}

Instant at(int seconds) {
    return Instant{} + std::chrono::seconds(seconds);
}

SuspicionBounds lasting(int seconds) {
    return {std::chrono::seconds(seconds), std::chrono::seconds(seconds), 0};
}

TEST(Suspicions, ExpireInOrderOfDeadlineUnlessCancelledOrPostponed) {
    Suspicions suspicions;
    suspicions.start(peer(1), at(0), lasting(5), peer(9));
    suspicions.start(peer(2), at(0), lasting(3), peer(9));
    suspicions.start(peer(3), at(0), lasting(4), peer(9));
    suspicions.start(peer(2), at(2), lasting(4), peer(9));
    suspicions.cancel(peer(3));
    EXPECT_EQ(suspicions.next_deadline(), at(5));
    EXPECT_FALSE(suspicions.take_expired(at(4)).has_value());
    EXPECT_EQ(suspicions.take_expired(at(5)), peer(1));
    suspicions.postpone(at(9));
    EXPECT_FALSE(suspicions.take_expired(at(8)).has_value());
    EXPECT_EQ(suspicions.take_expired(at(9)), peer(2));
    EXPECT_FALSE(suspicions.next_deadline().has_value());
}

TEST(Suspicions, EndEarlierWithEachNewAccuserUpToTheLastThatCounts) {
    const SuspicionBounds bounds{std::chrono::seconds(4), std::chrono::seconds(24), 2};
    Suspicions suspicions;
    suspicions.start(peer(1), at(0), bounds, peer(9));
    EXPECT_EQ(*suspicions.accuser(peer(1)), peer(9));
    EXPECT_EQ(suspicions.next_deadline(), at(24));
    EXPECT_FALSE(suspicions.confirm(peer(1), peer(9))) << "the first accuser confirmed itself";
    EXPECT_TRUE(suspicions.confirm(peer(1), peer(8)));
    EXPECT_FALSE(suspicions.confirm(peer(1), peer(8))) << "counted twice";
    EXPECT_EQ(suspicions.next_deadline(), at(0) + confirmed_timeout(bounds, 1));
    EXPECT_TRUE(suspicions.confirm(peer(1), peer(7)));
    EXPECT_EQ(suspicions.next_deadline(), at(4));
    EXPECT_TRUE(suspicions.confirm(peer(1), peer(6)));
    EXPECT_EQ(suspicions.next_deadline(), at(0) + confirmed_timeout(bounds, 3));
    EXPECT_FALSE(suspicions.confirm(peer(1), peer(5))) << "nobody asked for more";
    EXPECT_FALSE(suspicions.confirm(peer(2), peer(6))) << "not even suspected";
    EXPECT_EQ(suspicions.accuser(peer(2)), nullptr);
}

TEST(Suspicions, ExpireInOrderHoweverOftenTheirDeadlinesMove) {
    Rng rng(1);
    Suspicions suspicions;
    std::map<PeerId, Instant> open;
    Instant now{};
    const auto earliest = [&] {
        return std::min_element(open.begin(), open.end(), [](const auto& a, const auto& b) {
            return a.second < b.second;
        });
    };
    for (int i = 0; i < 20'000; ++i) {
        now += std::chrono::milliseconds(rng.below(100));
        const auto id = peer(static_cast<std::uint8_t>(rng.below(60)));
        if (rng.chance(0.2)) {
            suspicions.cancel(id);
            open.erase(id);
        } else if (rng.chance(0.01)) {
            const auto later = now + std::chrono::seconds(5);
            suspicions.postpone(later);
            for (auto& [suspect, deadline] : open) deadline = std::max(deadline, later);
        } else {
            const auto seconds = static_cast<int>(1 + rng.below(5));
            suspicions.start(id, now, lasting(seconds), peer(99));
            open[id] = now + std::chrono::seconds(seconds);
        }
        while (!open.empty() && earliest()->second <= now) {
            ASSERT_EQ(suspicions.take_expired(now), earliest()->first) << i;
            open.erase(earliest());
        }
        ASSERT_FALSE(suspicions.take_expired(now).has_value()) << i;
        if (open.empty()) continue;
        ASSERT_EQ(suspicions.next_deadline(), earliest()->second) << i;
    }
}

TEST(Suspicions, ConfirmationAfterASleepDoesNotEndThemAtOnce) {
    const SuspicionBounds bounds{std::chrono::seconds(4), std::chrono::seconds(24), 1};
    Suspicions suspicions;
    suspicions.start(peer(1), at(0), bounds, peer(9));
    suspicions.postpone(at(35));
    EXPECT_TRUE(suspicions.confirm(peer(1), peer(8)));
    EXPECT_EQ(suspicions.next_deadline(), at(35));
}

TEST(Suspicions, WhoHasSeenARefusalWaitsLessOnceThereIsASecondAccuser) {
    Suspicions suspicions;
    const auto bounds = suspicion_bounds(SwimConfig{}, 10, 10);
    suspicions.start(peer(1), at(0), bounds, peer(2));
    suspicions.note_refused(peer(1));
    EXPECT_EQ(suspicions.next_deadline(), at(0) + bounds.max) << "one accuser is no proof";
    EXPECT_TRUE(suspicions.confirm(peer(1), peer(3)));
    EXPECT_NEAR(to_seconds(*suspicions.next_deadline() - at(0)), 0.6 * 4.0, 1e-6);
    EXPECT_FALSE(suspicions.ripe(peer(1), at(1))) << "so that others believe the verdict at once";
    EXPECT_TRUE(suspicions.ripe(peer(1), *suspicions.next_deadline()));
    suspicions.note_refused(peer(9));
    EXPECT_EQ(suspicions.confirmed(), 1U);
}

TEST(Suspicions, AVerdictOfAnotherEndsThemWhenTheyAreRipe) {
    Suspicions suspicions;
    const auto bounds = suspicion_bounds(SwimConfig{}, 10, 10);
    suspicions.start(peer(1), at(0), bounds, peer(2));
    suspicions.note_verdict(peer(1));
    EXPECT_EQ(suspicions.next_deadline(), at(0) + bounds.max);
    EXPECT_TRUE(suspicions.confirm(peer(1), peer(3)));
    EXPECT_EQ(suspicions.next_deadline(), at(0) + bounds.min / 2);
    EXPECT_TRUE(suspicions.ripe(peer(1), at(2)));
}

TEST(Suspicions, ShrinkToTheBoundsOfASmallerSwarmAndNeverGrow) {
    Suspicions suspicions;
    const auto large = suspicion_bounds(SwimConfig{}, 100, 100);
    suspicions.start(peer(1), at(0), large, peer(2));
    const auto few = suspicion_bounds(SwimConfig{}, 3, 3);
    suspicions.tighten(few);
    EXPECT_EQ(suspicions.next_deadline(), at(0) + few.min) << "nobody is left to confirm it";
    suspicions.tighten(large);
    EXPECT_EQ(suspicions.next_deadline(), at(0) + few.min);
}

}  // namespace
}  // namespace starling::membership
