// Goal: exchanges come as often as they cost next to nothing, never less often than keeps the peers
// together, and never more than the upload limit takes, whatever partners and links do. Method: a world of
// one peer on a clock that the test moves, whose exchanges cost, last and find distances as each test says.

#include "gossip/interval.hpp"

#include <cmath>
#include <functional>
#include <gtest/gtest.h>
#include <limits>

namespace starling::gossip {
namespace {

using namespace std::chrono_literals;

/// What each exchange is like.
struct World {
    Duration cost = 1ms;
    Duration step = 10ms;
    Duration lasts = 5ms;
    std::uint64_t bytes = 800'000;
    std::uint64_t steps = 0;
    /// Distance to a partner, so long after the last exchange had begun.
    std::function<double(Duration gap)> distance = [](Duration) { return 1e-6; };
};

/// Makes exchanges that are all committed, and checks each change of the interval.
class Peer {
public:
    explicit Peer(const Interval::Limits& limits = {}) : interval(limits) {}

    void exchange(const World& world) {
        ASSERT_TRUE(interval.due().has_value());
        now = std::max(now, *interval.due());
        // The end of a step, at which a trainer looks whether an exchange is due.
        now = Instant((now.time_since_epoch() + world.step - 1ns) / world.step * world.step);
        const Duration gap = now - begun;
        begun = now;
        interval.handle_asked(now, true, false);
        EXPECT_EQ(interval.due(), std::nullopt) << "one that runs is not doubled";
        now += world.lasts;
        const auto before = interval.interval();
        interval.handle_end(now, event(world, gap), {world.cost, world.step, world.steps});
        const double change = to_seconds(interval.interval()) / to_seconds(before);
        EXPECT_LE(change, 2.0 + 1e-6);
        EXPECT_GE(change, 0.5 - 1e-6);
    }

    void run(const World& world, int exchanges = 40) {
        for (int i = 0; i < exchanges; ++i) exchange(world);
    }

    [[nodiscard]] double seconds() const { return to_seconds(interval.interval()); }

    static ExchangeEvent event(const World& world, Duration gap) {
        ExchangeEvent event;
        event.initiator = true;
        event.bytes = world.bytes;
        event.relative_distance = world.distance(gap);
        event.duration = world.lasts;
        return event;
    }

    Interval interval;
    Instant now{1h};
    Instant begun{1h};
};

TEST(Interval, TakesTwoPercentOfTheTimeWhereNothingElseMatters) {
    Peer peer;
    EXPECT_EQ(peer.interval.by(), IntervalBy::Start);
    peer.run({});
    EXPECT_NEAR(peer.seconds(), 0.1, 0.001)
        << "one of 1 ms that we open, and one that a partner opens";
    EXPECT_EQ(peer.interval.by(), IntervalBy::Cost);
    EXPECT_NEAR(peer.interval.cost_share(), 0.02, 1e-4);
    World dear;
    dear.cost = 50ms;
    peer.run(dear);
    EXPECT_NEAR(peer.seconds(), 5.0, 0.01);
}

TEST(Interval, IsAStepWhereExchangesCostNothing) {
    Peer peer;
    World world;
    world.cost = 20us;
    peer.run(world);
    EXPECT_EQ(peer.interval.by(), IntervalBy::Steps);
    EXPECT_EQ(peer.interval.interval(), 5ms) << "half a step after the last comes the next step";
    const auto before = peer.begun;
    peer.run(world, 10);
    EXPECT_EQ(peer.begun - before, 10 * world.step);
}

TEST(Interval, KeepsTheDistanceAtItsTargetHoweverItGrows) {
    for (const double power : {1.0, 0.5}) {
        for (const std::uint64_t steps : {0U, 100'000U}) {
            const double target = Interval::target_spread(steps);
            Peer peer;
            World world;
            world.step = 1ms;
            world.steps = steps;
            world.distance = [=](Duration gap) {
                return target * std::pow(to_seconds(gap) / 0.04, power);
            };
            peer.run(world);
            EXPECT_NEAR(peer.seconds(), 0.04, 0.002) << power << ", " << steps;
            EXPECT_EQ(peer.interval.by(), IntervalBy::Spread);
            EXPECT_GT(peer.interval.cost_share(), 0.02);
        }
    }
}

TEST(Interval, TakesAFifthOfTheTimeAtMostHoweverFarThePeersAre) {
    Peer peer;
    World world;
    world.step = 1ms;
    world.distance = [](Duration) { return 5.0; };
    peer.run(world);
    EXPECT_NEAR(peer.interval.cost_share(), 0.2, 1e-3);
    EXPECT_EQ(peer.interval.by(), IntervalBy::Spread);
}

TEST(Interval, StaysWithinTheUploadLimitEvenIfPeersDriftApart) {
    for (const double distance : {1e-6, 5.0}) {
        Interval::Limits limits;
        limits.upload = 1e6;
        Peer peer(limits);
        World world;
        world.lasts = 800ms;
        world.distance = [=](Duration) { return distance; };
        peer.run(world);
        EXPECT_NEAR(peer.seconds(), 0.8 / 0.75, 0.01);
        EXPECT_EQ(peer.interval.by(), IntervalBy::Upload);
    }
}

TEST(Interval, GoesByTheLinkWhenItDropsToATenthAndComesBack) {
    Peer peer;
    World world;
    world.lasts = 40ms;
    peer.run(world);
    ASSERT_EQ(peer.interval.by(), IntervalBy::Cost);
    World slow = world;
    slow.lasts = 400ms;
    const auto before = peer.begun;
    peer.run(slow, 10);
    EXPECT_EQ(peer.interval.by(), IntervalBy::Link);
    EXPECT_EQ(peer.begun - before, 9 * slow.lasts + 100ms) << "one after the other";
    EXPECT_NEAR(peer.seconds(), 0.1, 0.001) << "what an exchange costs has not changed";
    peer.run(world, 2);
    EXPECT_EQ(peer.interval.by(), IntervalBy::Cost);
}

TEST(Interval, WithoutAPartnerItLooksNowAndThenAndSaysSo) {
    Peer peer;
    for (int i = 0; i < 100; ++i) {
        peer.now = *peer.interval.due();
        peer.interval.handle_asked(peer.now, false, true);
        EXPECT_EQ(peer.interval.by(), IntervalBy::Alone);
        EXPECT_EQ(*peer.interval.due() - peer.now, 250ms);
    }
    EXPECT_EQ(peer.interval.interval(), Interval::kFirst) << "nothing was measured";
    peer.run({}, 5);
    EXPECT_EQ(peer.interval.by(), IntervalBy::Cost);
}

TEST(Interval, ComesBackSoonToWhoeverIsNotFree) {
    Peer peer;
    peer.run({});
    const auto interval = peer.interval.interval();
    peer.now = *peer.interval.due();
    peer.interval.handle_asked(peer.now, false, false);
    EXPECT_EQ(*peer.interval.due() - peer.now, 10ms);
    peer.now = *peer.interval.due();
    peer.interval.handle_asked(peer.now, true, false);
    auto busy = Peer::event({}, 1s);
    busy.outcome = Outcome::Busy;
    peer.interval.handle_end(peer.now, busy, {1h, 10ms, 0});
    EXPECT_EQ(*peer.interval.due() - peer.now, 10ms);
    EXPECT_EQ(peer.interval.interval(), interval) << "nothing was exchanged";
}

TEST(Interval, AfterAnExchangeThatFailsGoesOnAsBefore) {
    for (const auto outcome :
         {Outcome::TimedOut, Outcome::Disconnected, Outcome::Violated, Outcome::Refused}) {
        Peer peer;
        peer.run({});
        const auto interval = peer.interval.interval();
        peer.now = *peer.interval.due();
        peer.interval.handle_asked(peer.now, true, false);
        auto failed = Peer::event({}, 1s);
        failed.outcome = outcome;
        failed.relative_distance = 1e9;
        peer.interval.handle_end(peer.now + 1ms, failed, {1h, 10ms, 0});
        EXPECT_EQ(peer.interval.interval(), interval);
        EXPECT_EQ(*peer.interval.due() - peer.now, interval);
    }
}

TEST(Interval, OnePartnerThatLiesAboutItsDistanceChangesNothing) {
    const auto honest = [](Duration gap) { return to_seconds(gap); };
    for (const double lie :
         {1e-30,
          1e6,
          std::numeric_limits<double>::infinity(),
          std::numeric_limits<double>::quiet_NaN()}) {
        Peer peer;
        World world;
        world.cost = 5ms;
        world.step = 1ms;
        int exchanges = 0;
        world.distance = [&](Duration gap) { return ++exchanges % 3 == 0 ? lie : honest(gap); };
        for (int i = 0; i < 90; ++i) {
            peer.exchange(world);
            if (i < 20) continue;
            EXPECT_NEAR(peer.seconds(), 0.05, 0.01) << lie;
        }
    }
}

TEST(Interval, APartnerThatLiesAndIsTheOnlyOneCostsAFifthOfTheTimeAtMost) {
    Peer peer;
    World world;
    world.step = 1ms;
    world.distance = [](Duration) { return 1e30; };
    peer.run(world);
    EXPECT_LE(peer.interval.cost_share(), 0.2 + 1e-3);
    world.distance = [](Duration) { return 1e-30; };
    peer.run(world);
    EXPECT_NEAR(peer.interval.cost_share(), 0.02, 1e-3) << "no less often than costs allow";
}

TEST(Interval, PeersThatHaveMetAreInNoHurry) {
    Peer peer;
    World world;
    world.step = 1ms;
    world.distance = [](Duration) { return 1.0; };
    peer.run(world);
    ASSERT_EQ(peer.interval.by(), IntervalBy::Spread);
    world.distance = [](Duration) { return 0.0; };
    peer.run(world);
    EXPECT_EQ(peer.interval.by(), IntervalBy::Cost);
}

TEST(Interval, OnlyItsOwnExchangesCount) {
    Peer peer;
    peer.run({});
    const auto interval = peer.interval.interval();
    const auto due = peer.interval.due();
    peer.interval.handle_end(peer.now, Peer::event({}, 1h), {1h, 10ms, 0});  // while settling
    EXPECT_EQ(peer.interval.due(), due);
    peer.now = *due;
    peer.interval.handle_asked(peer.now, true, false);
    auto answered = Peer::event({}, 1h);
    answered.initiator = false;
    peer.interval.handle_end(peer.now, answered, {1h, 10ms, 0});
    EXPECT_EQ(peer.interval.due(), std::nullopt) << "ours still runs";
    EXPECT_EQ(peer.interval.interval(), interval);
}

TEST(Interval, ThatWasGivenStaysAsItIs) {
    Interval::Limits limits;
    limits.fixed = 500ms;
    limits.upload = 1e3;
    Peer peer(limits);
    World world;
    world.cost = 1s;
    world.distance = [](Duration) { return 5.0; };
    peer.run(world);
    EXPECT_EQ(peer.interval.interval(), 500ms);
    EXPECT_EQ(peer.interval.by(), IntervalBy::Fixed);
}

TEST(Interval, TheTargetRisesFromEarlyToLate) {
    EXPECT_EQ(Interval::target_spread(0), 0.05);
    EXPECT_EQ(Interval::target_spread(500), 0.05);
    EXPECT_NEAR(Interval::target_spread(2000), 0.1, 1e-12);
    EXPECT_EQ(Interval::target_spread(8000), 0.2);
    EXPECT_EQ(Interval::target_spread(std::numeric_limits<std::uint64_t>::max()), 0.2);
}

}  // namespace
}  // namespace starling::gossip
