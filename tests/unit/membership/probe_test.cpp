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

Instant at(int ms) {
    return Instant{} + std::chrono::milliseconds(ms);
}

/// A probe that was sent at `sent`, asks helpers 200 ms later and is over after `lasts`.
ProbeCycle::Probe probe(std::uint64_t id, std::uint8_t target, int sent = 0, int lasts = 600) {
    ProbeCycle::Probe probe{id, peer(target), {1, 0}, false, at(sent)};
    probe.ask_at = at(sent + 200);
    probe.until = at(sent + lasts);
    return probe;
}

TEST(ProbeCycle, AsksHelpersOnceAndOnlyItsOwnAckClosesIt) {
    ProbeCycle cycle;
    EXPECT_FALSE(cycle.ask_helpers(at(0)).has_value());
    EXPECT_FALSE(cycle.next_ask().has_value());
    cycle.begin(probe(7, 1));
    EXPECT_EQ(cycle.next_ask(), at(200));
    EXPECT_FALSE(cycle.answer(8).has_value());
    EXPECT_FALSE(cycle.ask_helpers(at(199)).has_value()) << "the direct ack has its time";
    EXPECT_TRUE(cycle.ask_helpers(at(200)).has_value());
    EXPECT_FALSE(cycle.next_ask().has_value());
    EXPECT_FALSE(cycle.ask_helpers(at(200)).has_value());
    EXPECT_TRUE(cycle.answer(7).has_value());
    EXPECT_FALSE(cycle.answer(7).has_value());
    EXPECT_TRUE(cycle.finish(at(1000)).empty());
    cycle.begin(probe(9, 2, 1000));
    const auto missed = cycle.finish(at(2000));
    ASSERT_EQ(missed.size(), 1U);
    EXPECT_EQ(missed[0].target, peer(2));
    EXPECT_TRUE(cycle.finish(at(3000)).empty());
}

TEST(ProbeCycle, KeepsTheProbesOfOnePeriodApart) {
    ProbeCycle cycle;
    for (std::uint8_t i = 1; i <= 3; ++i) cycle.begin(probe(i, i));
    EXPECT_FALSE(cycle.answer_by_stream(peer(2)).has_value()) << "it has asked for no stream yet";
    EXPECT_EQ(cycle.ask_helpers(peer(2))->id, 2U);
    EXPECT_FALSE(cycle.ask_helpers(peer(2)).has_value());
    EXPECT_EQ(cycle.next_ask(), at(200));
    EXPECT_TRUE(cycle.probes(peer(1)));
    EXPECT_EQ(cycle.answer(1)->target, peer(1));
    EXPECT_FALSE(cycle.probes(peer(1)));
    cycle.set_helpers(2, {peer(7), peer(8), peer(9)});
    cycle.nack(2, peer(8));
    cycle.nack(3, peer(9));
    EXPECT_EQ(cycle.ask_helpers(at(200))->id, 3U);
    EXPECT_TRUE(cycle.answer_by_stream(peer(3))->silent.empty());
    const auto& missed = cycle.finish(at(1000));
    ASSERT_EQ(missed.size(), 1U);
    EXPECT_EQ(missed[0].id, 2U);
    EXPECT_EQ(missed[0].silent, (std::vector<ShortId>{peer(7), peer(9)}));
}

TEST(ProbeCycle, LetsAProbeLastForSeveralPeriodsAndGivesItCompany) {
    ProbeCycle cycle;
    cycle.begin(probe(1, 1, 0, 5000));
    cycle.begin(probe(2, 2, 0, 5000));
    EXPECT_TRUE(cycle.finish(at(1000)).empty());
    EXPECT_TRUE(cycle.overdue(at(200), 8).empty()) << "the direct ack has its time";
    EXPECT_TRUE(cycle.ask_helpers(peer(1)).has_value());
    EXPECT_TRUE(cycle.overdue(at(-1), 8).empty()) << "it is younger than that";
    EXPECT_TRUE(cycle.overdue(at(200), 0).empty());
    EXPECT_EQ(cycle.overdue(at(200), 8), (std::vector<ShortId>{ShortId(peer(1))}));
    cycle.begin(probe(3, 1, 1000, 5000));
    EXPECT_TRUE(cycle.overdue(at(2000), 8).empty()) << "two are enough";
    EXPECT_TRUE(cycle.has_asked(peer(1)));
    cycle.hear(peer(2));
    EXPECT_FALSE(cycle.open()[0].heard);
    EXPECT_TRUE(cycle.open()[1].heard);
    EXPECT_FALSE(cycle.has_asked(peer(2)));
    EXPECT_EQ(cycle.finish(at(5000)).size(), 2U);
    EXPECT_FALSE(cycle.has_asked(peer(1))) << "the one that is left is younger";
    EXPECT_EQ(cycle.open().size(), 1U);
    EXPECT_EQ(cycle.finish(at(6000)).size(), 1U);
    cycle.begin(probe(4, 4, 6900)).at_once = true;
    EXPECT_EQ(cycle.overdue(at(6200), 8).size(), 1U) << "a period begins at 7000";
}

TEST(ProbeCycle, AnAnswerEndsAllProbesOfItsMemberAndOneThatIsLateIsStillAMeasurement) {
    ProbeCycle cycle;
    cycle.begin(probe(1, 1, 0, 5000));
    cycle.begin(probe(2, 1, 1000, 5000));
    cycle.begin(probe(3, 2, 1000, 600));
    cycle.begin(probe(4, 9, 0, 5000));
    cycle.drop(peer(9));
    EXPECT_FALSE(cycle.probes(ShortId(peer(9))));
    EXPECT_TRUE(cycle.answer(1).has_value());
    EXPECT_FALSE(cycle.probes(ShortId(peer(1)))) << "nor is the other one ever missed";
    EXPECT_EQ(cycle.finish(at(2000)).size(), 1U);
    EXPECT_EQ(cycle.answer_late(3)->target, peer(2));
    EXPECT_FALSE(cycle.answer_late(3).has_value()) << "once";
    for (std::uint64_t i = 10; i < 10 + 2 * ProbeCycle::kLateMax; ++i) cycle.keep_late(probe(i, 3));
    EXPECT_FALSE(cycle.answer_late(10).has_value()) << "their number is bounded";
    EXPECT_TRUE(cycle.answer_late(9 + 2 * ProbeCycle::kLateMax).has_value());
    cycle.keep_late(probe(5, 3));
    cycle.drop();
    EXPECT_FALSE(cycle.answer_late(5).has_value());
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

TEST(PathLoss, DoesNotCountWhatIsOnlySlow) {
    PathLoss loss;
    for (int i = 0; i < 200; ++i) {
        loss.rescued();
        loss.came_late();
    }
    EXPECT_LT(loss.share(), 0.02);
}

TEST(RoundTrip, WaitFollowsWhatIsMeasuredWithinItsBounds) {
    using std::chrono::milliseconds;
    RoundTrip round_trip;
    const auto wait = [&] { return round_trip.timeout(milliseconds(100), milliseconds(500)); };
    EXPECT_EQ(wait(), milliseconds(500)) << "nothing is known yet";
    for (int i = 0; i < 50; ++i) round_trip.sample(milliseconds(1));
    EXPECT_EQ(wait(), milliseconds(100));
    for (int i = 0; i < 50; ++i) round_trip.sample(milliseconds(i % 2 == 0 ? 180 : 220));
    EXPECT_GT(wait(), milliseconds(220));
    EXPECT_LT(wait(), milliseconds(300));
    EXPECT_GT(round_trip.usual(), milliseconds(210));
    EXPECT_LT(round_trip.usual(), milliseconds(230));
    for (int i = 0; i < 50; ++i) round_trip.sample(milliseconds(600));
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
