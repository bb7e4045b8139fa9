// Goal: everybody is probed once a round, helpers are asked once a cycle, relays are bounded.

#include "membership/probe.hpp"

#include <cmath>
#include <gtest/gtest.h>
#include <map>
#include <string>

#include "tests/unit/membership/support/samples.hpp"

namespace starling::membership {
namespace {

bool always(const ShortId& /*id*/) {
    return true;
}

void ignore(const ShortId& /*id*/) {}

TEST(ProbeOrder, VisitsEverybodyOncePerRound) {
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        ProbeOrder order{Rng(seed)};
        for (std::uint8_t i = 0; i < 20; ++i) order.insert(peer(i));
        for (int round = 0; round < 3; ++round) {
            std::map<ShortId, int> visits;
            for (int i = 0; i < 20; ++i) ++visits[*order.next(always, ignore)];
            ASSERT_EQ(visits.size(), 20U);
        }
    }
}

TEST(ProbeOrder, ANewcomerNeverMakesSomebodyWaitOrRepeat) {
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        ProbeOrder order{Rng(seed)};
        for (std::uint8_t i = 0; i < 10; ++i) order.insert(peer(i));
        std::map<ShortId, int> visits;
        for (int i = 0; i < 5; ++i) ++visits[*order.next(always, ignore)];
        order.insert(peer(99));
        for (int i = 0; i < 5; ++i) ++visits[*order.next(always, ignore)];
        for (const auto& [id, count] : visits) ASSERT_EQ(count, 1);
        EXPECT_EQ(order.size(), 11U);
    }
}

TEST(ProbeOrder, ARoundThatDoublesBeginsAnewWithThoseAlreadyVisited) {
    // Whoever was met first, and probed at once, must not wait for all who came after it.
    double waits = 0.0;
    constexpr int kSeeds = 200;
    for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
        ProbeOrder order{Rng(seed)};
        order.insert(peer(0));
        ASSERT_EQ(order.next(always, ignore), ShortId(peer(0)));
        for (std::uint8_t i = 1; i < 16; ++i) order.insert(peer(i));
        int wait = 1;
        while (order.next(always, ignore) != ShortId(peer(0))) ++wait;
        waits += wait;
    }
    // A random place among sixteen is 8.5 on average; in a round that went on it would be 16.
    EXPECT_NEAR(waits / kSeeds, 8.5, 1.0);
}

TEST(ProbeOrder, DropsWhatIsNotProbeableAtTheEndOfARound) {
    ProbeOrder order{Rng(1)};
    EXPECT_FALSE(order.next(always, ignore).has_value());
    for (std::uint8_t i = 0; i < 4; ++i) order.insert(peer(i));
    std::size_t dropped = 0;
    const auto count = [&](const ShortId&) { ++dropped; };
    const auto only_two = [](const ShortId& id) { return id == ShortId(peer(2)); };
    for (int i = 0; i < 5; ++i) EXPECT_EQ(order.next(only_two, count), ShortId(peer(2)));
    EXPECT_EQ(dropped, 3U);
    EXPECT_EQ(order.size(), 1U);
}

TEST(ProbeOrder, BeginsAgainAfterAllAreGone) {
    ProbeOrder order{Rng(1)};
    for (std::uint8_t i = 0; i < 9; ++i) order.insert(peer(i));
    for (int i = 0; i < 9; ++i) EXPECT_TRUE(order.next(always, ignore).has_value());
    EXPECT_FALSE(order.next([](const ShortId&) { return false; }, ignore).has_value());
    for (std::uint8_t i = 20; i < 24; ++i) order.insert(peer(i));
    std::map<ShortId, int> visits;
    for (int i = 0; i < 4; ++i) ++visits[*order.next(always, ignore)];
    EXPECT_EQ(visits.size(), 4U);
}

TEST(ProbeCycle, AsksHelpersOnceAndOnlyItsOwnAckClosesIt) {
    ProbeCycle cycle;
    EXPECT_FALSE(cycle.ask_helpers().has_value());
    EXPECT_FALSE(cycle.waits());
    cycle.begin({7, peer(1), {1, 0}, false});
    EXPECT_TRUE(cycle.waits());
    EXPECT_FALSE(cycle.answer(8).has_value());
    EXPECT_TRUE(cycle.ask_helpers().has_value());
    EXPECT_FALSE(cycle.waits());
    EXPECT_FALSE(cycle.ask_helpers().has_value());
    EXPECT_TRUE(cycle.answer(7).has_value());
    EXPECT_FALSE(cycle.answer(7).has_value());
    EXPECT_TRUE(cycle.finish().empty());
    cycle.begin({9, peer(2), {1, 0}, false});
    const auto missed = cycle.finish();
    ASSERT_EQ(missed.size(), 1U);
    EXPECT_EQ(missed[0].target, peer(2));
    EXPECT_TRUE(cycle.finish().empty());
}

TEST(ProbeCycle, KeepsTheProbesOfOnePeriodApart) {
    ProbeCycle cycle;
    for (std::uint8_t i = 1; i <= 3; ++i) cycle.begin({i, peer(i), {1, 0}, false});
    EXPECT_FALSE(cycle.answer_by_stream(peer(2)).has_value()) << "it has asked for no stream yet";
    const PeerId second = peer(2);
    EXPECT_EQ(cycle.ask_helpers(&second)->id, 2U);
    EXPECT_FALSE(cycle.ask_helpers(&second).has_value());
    EXPECT_TRUE(cycle.waits());
    EXPECT_TRUE(cycle.probes(peer(1)));
    EXPECT_EQ(cycle.answer(1)->target, peer(1));
    EXPECT_FALSE(cycle.probes(peer(1)));
    cycle.set_helpers(2, {peer(7), peer(8), peer(9)});
    cycle.nack(2, peer(8));
    cycle.nack(3, peer(9));
    EXPECT_EQ(cycle.ask_helpers()->id, 3U);
    EXPECT_TRUE(cycle.answer_by_stream(peer(3))->silent.empty());
    const auto& missed = cycle.finish();
    ASSERT_EQ(missed.size(), 1U);
    EXPECT_EQ(missed[0].id, 2U);
    EXPECT_EQ(missed[0].silent, (std::vector<ShortId>{peer(7), peer(9)}));
}

TEST(PathLoss, IsWhatHelpersSaveAndNotWhatIsDead) {
    PathLoss loss;
    EXPECT_EQ(loss.share(), 0.0);
    EXPECT_EQ(loss.missed(3), 0.0);
    for (int i = 0; i < 3000; ++i) {
        // 15 % of datagrams: a direct answer fails with 1 - 0.85^2.
        if (11 * i % 40 < 11) {
            loss.rescued();
        } else {
            loss.answered();
        }
    }
    EXPECT_NEAR(loss.share(), 0.2775, 0.12);
    const double share = loss.share();
    const double passes = std::sqrt(1.0 - share);
    EXPECT_NEAR(loss.missed(0), share, 1e-12);
    EXPECT_NEAR(loss.missed(3), share * std::pow(1.0 - std::pow(passes, 4.0), 3.0), 1e-12);
    EXPECT_LT(loss.missed(3), loss.missed(1));
}

TEST(RoundTrip, WaitFollowsWhatIsMeasuredWithinItsBounds) {
    using std::chrono::milliseconds;
    RoundTrip round_trip;
    const auto wait = [&] { return round_trip.timeout(milliseconds(100), milliseconds(500)); };
    EXPECT_EQ(wait(), milliseconds(500)) << "nothing is known yet";
    for (int i = 0; i < 50; ++i) round_trip.sample(milliseconds(1));
    EXPECT_EQ(wait(), milliseconds(100));
    for (int i = 0; i < 50; ++i) round_trip.sample(milliseconds(i % 2 == 0 ? 80 : 90));
    EXPECT_GT(wait(), milliseconds(160));
    EXPECT_LT(wait(), milliseconds(300));
    for (int i = 0; i < 50; ++i) round_trip.sample(milliseconds(400));
    EXPECT_EQ(wait(), milliseconds(500));
}

TEST(Relays, AreBoundedAndExpire) {
    Relays relays;
    const Instant now{};
    for (std::uint64_t i = 0; i < kRelaysMax; ++i) {
        ASSERT_TRUE(relays.add(
            i,
            {address_of(1),
             i,
             now + std::chrono::milliseconds(1 + i),
             now + std::chrono::seconds(2)}
        ));
    }
    EXPECT_FALSE(relays.add(kRelaysMax, {address_of(1), 1, now, now}));
    EXPECT_EQ(relays.take(5)->probe, 5U);
    EXPECT_FALSE(relays.take(5).has_value());
    relays.expire(now + std::chrono::seconds(2));
    EXPECT_EQ(relays.size(), 0U);
    EXPECT_FALSE(relays.next_nack().has_value());
}

TEST(Relays, OweOneNackEachUnlessTheAckCameBefore) {
    const auto at = [](int ms) { return Instant{} + std::chrono::milliseconds(ms); };
    Relays relays;
    ASSERT_TRUE(relays.add(1, {address_of(1), 11, at(400), at(2000)}));
    ASSERT_TRUE(relays.add(2, {address_of(2), 12, at(300), at(2000)}));
    ASSERT_TRUE(relays.add(3, {address_of(3), 13, at(300), at(2000)}));
    EXPECT_TRUE(relays.take(3).has_value());
    EXPECT_EQ(relays.next_nack(), at(300));
    EXPECT_FALSE(relays.take_nack(at(299)).has_value());
    EXPECT_EQ(relays.take_nack(at(350))->probe, 12U);
    EXPECT_FALSE(relays.take_nack(at(350)).has_value());
    EXPECT_TRUE(relays.take(2).has_value()) << "a late ack is still passed on";
}

}  // namespace
}  // namespace starling::membership
