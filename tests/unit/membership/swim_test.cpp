// Goal: joins, leaves, records and refutations do what the contract says. Method: a few machines on
// a perfect network in virtual time; single machines fed by hand-made datagrams.

#include "membership/swim.hpp"

#include <gtest/gtest.h>
#include <set>
#include <variant>

#include "tests/unit/membership/support/alone.hpp"

namespace starling::membership {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

TEST(Swim, OnePushPullIntroducesANewcomerToEverybody) {
    Cluster cluster(1);
    cluster.grow(8);
    cluster.run(seconds(3));
    EXPECT_TRUE(cluster.whole());
    for (std::size_t i = 0; i < 8; ++i) {
        EXPECT_EQ(cluster.swim(i).alive_count(), 8U);
        EXPECT_EQ(cluster[i].count(EventKind::Up), 7U);
    }
}

TEST(Swim, WithoutFaultsNobodyIsEverSuspected) {
    Cluster cluster(2);
    cluster.grow(16);
    cluster.run(minutes(10));
    EXPECT_TRUE(cluster.whole());
    EXPECT_FALSE(cluster.oversized());
    for (std::size_t i = 0; i < 16; ++i) {
        EXPECT_EQ(cluster[i].count(EventKind::Suspected), 0U);
        EXPECT_EQ(cluster[i].count(EventKind::Failed), 0U);
        EXPECT_EQ(cluster.swim(i).counters().probes_failed, 0U);
        EXPECT_EQ(cluster.swim(i).counters().refutations, 0U);
        EXPECT_GT(cluster.swim(i).counters().probes, 500U);
    }
}

TEST(Swim, AlonePeerIsQuiet) {
    Cluster cluster(3);
    cluster.grow(1);
    cluster.run(minutes(5));
    EXPECT_EQ(cluster.datagrams(), 0U);
    EXPECT_LT(cluster.steps(), 400U) << "a timer spins";
}

TEST(Swim, APingIsAnsweredWhereItCameFromIfItNamesUs) {
    Alone alone;
    alone.hear(2, {Ping{5, peer(1)}});
    EXPECT_TRUE(contains(alone.said(address_of(2)), Ack{5}));
    alone.hear(2, {Ping{6, peer(9)}});
    EXPECT_FALSE(alone.swim.poll_transmit().has_value());
}

TEST(Swim, ForeignMalformedAndReflectedDatagramsAreCountedAndNeverAnswered) {
    Alone alone;
    const Packet ping{peer(2), {Ping{5, peer(1)}}};
    alone.swim.handle_datagram(alone.now, address_of(2), encode(ping, kTag + 1, kPacketMax));
    Bytes cut = encode(ping, kTag, kPacketMax);
    cut.pop_back();
    alone.swim.handle_datagram(alone.now, address_of(2), cut);
    alone.swim.handle_datagram(alone.now, address_of(2), {});
    alone.hear(1, {Ping{5, peer(1)}});
    EXPECT_EQ(alone.swim.counters().foreign, 1U);
    EXPECT_EQ(alone.swim.counters().malformed, 2U);
    EXPECT_EQ(alone.swim.counters().reflected, 1U);
    EXPECT_FALSE(alone.swim.poll_transmit().has_value());
    const auto page = alone.swim.handle_push_pull(alone.now, encode({peer(2), {}}, 1, kPageMax));
    EXPECT_EQ(page.error().code, FaultCode::SwarmMismatch);
}

TEST(Swim, AccusationsAreRefutedAtOnceAboveTheirIncarnation) {
    for (const auto state : {MemberState::Suspect, MemberState::Failed, MemberState::Left}) {
        Alone alone;
        const bool accused = is_accusation(state);
        // Only our own signed words can be above what we say now: those of a forgotten life.
        const std::uint64_t counter = accused ? 0 : 4;
        alone.hear(2, {claim(1, {3, counter}, state)});
        const Incarnation above = accused ? Incarnation{3, 1} : Incarnation{4, 0};
        EXPECT_EQ(alone.swim.incarnation(), above);
        EXPECT_EQ(alone.swim.counters().refutations, 1U);
        EXPECT_EQ(alone.swim.find(peer(1))->state, MemberState::Alive);
        const auto alive = claim(1, above, MemberState::Alive);
        EXPECT_TRUE(contains(alone.said(address_of(2)), alive));
    }
}

TEST(Swim, OldAccusationsAreNotWorthARefutation) {
    Alone alone;
    alone.hear(2, {claim(1, {2, 900}, MemberState::Failed)});
    EXPECT_EQ(alone.swim.incarnation(), (Incarnation{3, 0}));
    alone.hear(2, {claim(1, {4, 0}, MemberState::Alive)});
    EXPECT_EQ(alone.swim.incarnation(), (Incarnation{5, 0})) << "a forgotten earlier life";
    alone.hear(2, {claim(1, {5, 900}, MemberState::Suspect)});
    EXPECT_EQ(alone.swim.incarnation(), (Incarnation{5, 0})) << "nobody heard us claim that";
    alone.hear(2, {claim(1, {5, kCounterMax - 1}, MemberState::Alive)});
    EXPECT_EQ(alone.swim.incarnation(), (Incarnation{6, 0})) << "must stay inside the wire's range";
}

/// Returns the addresses to which a machine has sent that claim.
std::multiset<std::uint16_t> heard(Alone& alone, const Statement& wanted) {
    std::multiset<std::uint16_t> who;
    while (const auto datagram = alone.swim.poll_transmit()) {
        const auto packet = *parse_datagram(datagram->bytes, kTag);
        const bool told = std::any_of(
            packet.messages.begin(),
            packet.messages.end(),
            [&](const Message& message) { return message == Message(wanted); }
        );
        if (told) who.insert(datagram->to.address[15]);
    }
    return who;
}

TEST(Swim, ANewcomerTellsThoseOfItsFirstPageAtOnceAndOfManyAPart) {
    for (const int others : {1, 20, 150}) {
        Alone alone;
        Packet page{peer(2), {}};
        for (int i = 0; i < others; ++i) {
            const auto number = static_cast<std::uint8_t>(2 + i);
            page.messages.emplace_back(claim(number, {1, 0}, MemberState::Alive));
        }
        ASSERT_TRUE(alone.swim.handle_push_pull(alone.now, encode(page, kTag, kPageMax)));
        const auto own = claim(1, {3, 0}, MemberState::Alive);
        const auto told = heard(alone, own);
        EXPECT_EQ(told.size(), static_cast<std::size_t>(std::min(others, 64)));
        EXPECT_EQ(std::set(told.begin(), told.end()).size(), told.size()) << "nobody twice";
        // A later page is no reason to say it again.
        ASSERT_TRUE(alone.swim.handle_push_pull(alone.now, encode(page, kTag, kPageMax)));
        EXPECT_TRUE(heard(alone, own).empty());
    }
}

TEST(Swim, AProbesTimeIsCountedOnceAndOnlyForAnAnswerOfItsTarget) {
    Alone alone;
    alone.hear(2, {claim(2, {1, 0}, MemberState::Alive)});
    std::optional<std::uint64_t> probe;
    while (!probe && alone.swim.poll_timeout()) {
        alone.now = *alone.swim.poll_timeout();
        alone.swim.handle_timeout(alone.now);
        for (const auto& packet : alone.said(address_of(2))) {
            for (const auto& message : packet.messages) {
                if (const auto* ping = std::get_if<Ping>(&message)) probe = ping->probe;
            }
        }
    }
    ASSERT_TRUE(probe.has_value());
    alone.now += milliseconds(7);
    alone.hear(2, {Ack{*probe + 1}});
    EXPECT_EQ(alone.swim.counters().round_trips.count(), 0U);
    alone.hear(2, {Ack{*probe}});
    alone.hear(2, {Ack{*probe}});
    EXPECT_EQ(alone.swim.counters().round_trips.count(), 1U);
    EXPECT_EQ(alone.swim.counters().round_trips.max(), milliseconds(7));
}

/// Runs a machine that knows peer 2 alone, which acks the first `answers` pings.
struct Probes {
    std::vector<Instant> sent;          ///< pings to peer 2
    std::vector<Duration> until_asked;  ///< from a ping until a stream is tried as well

    Probes(Duration span, std::size_t answers) {
        Alone alone;
        alone.hear(2, {claim(2, {1, 0}, MemberState::Alive)});
        const Instant end = alone.now + span;
        while (alone.swim.poll_timeout() && *alone.swim.poll_timeout() < end) {
            alone.now = *alone.swim.poll_timeout();
            alone.swim.handle_timeout(alone.now);
            for (const auto& packet : alone.said(address_of(2))) {
                for (const auto& message : packet.messages) {
                    const auto* ping = std::get_if<Ping>(&message);
                    if (ping == nullptr) continue;
                    sent.push_back(alone.now);
                    if (sent.size() <= answers) alone.hear(2, {Ack{ping->probe}});
                }
            }
            while (const auto request = alone.swim.poll_stream()) {
                if (request->kind == StreamRequest::Kind::Ping) {
                    until_asked.push_back(alone.now - sent.back());
                }
            }
        }
    }
};

TEST(Swim, EveryPeriodIsDrawnAnewSoThatPeersLeaveStep) {
    const auto sent = Probes(seconds(60), 1000).sent;
    ASSERT_GT(sent.size(), 50U);
    std::set<Duration> periods;
    for (std::size_t i = 1; i < sent.size(); ++i) {
        periods.insert(sent[i] - sent[i - 1]);
        EXPECT_GE(sent[i] - sent[i - 1], milliseconds(900));
        EXPECT_LE(sent[i] - sent[i - 1], milliseconds(1100));
    }
    EXPECT_GT(periods.size(), sent.size() / 2);
}

TEST(Swim, PoorHealthStretchesIntervalAndTimeoutAlike) {
    // Nobody else could say whether it is peer 2 or us: each miss is blamed on us.
    const Probes probes(seconds(6), 1);
    ASSERT_GE(probes.sent.size(), 4U);
    ASSERT_GE(probes.until_asked.size(), 2U);
    EXPECT_EQ(probes.until_asked[0], milliseconds(200));
    EXPECT_EQ(probes.until_asked[1], milliseconds(400));
    EXPECT_LE(probes.sent[2] - probes.sent[1], milliseconds(1100));
    EXPECT_GE(probes.sent[3] - probes.sent[2], milliseconds(1800));
}

TEST(Swim, BeforeAnyAnswerAProbeHasTimeForTheSlowestLink) {
    Alone alone;
    alone.hear(2, {claim(2, {1, 0}, MemberState::Alive)});
    const auto run_for = [&](Duration span) {
        const Instant end = alone.now + span;
        while (alone.swim.poll_timeout() && *alone.swim.poll_timeout() < end) {
            alone.now = *alone.swim.poll_timeout();
            alone.swim.handle_timeout(alone.now);
        }
    };
    run_for(seconds(6));
    EXPECT_GE(alone.swim.counters().probes, 2U);
    EXPECT_EQ(alone.swim.counters().probes_failed, 0U);
    run_for(seconds(4));
    EXPECT_GE(alone.swim.counters().probes_failed, 1U);
}

TEST(Swim, ASuspectIsToldWhenItPingsUs) {
    Alone alone;
    alone.hear(3, {claim(3, {1, 0}, MemberState::Alive)});
    alone.hear(2, {claim(3, {1, 0}, MemberState::Suspect)});
    alone.said({});
    alone.hear(3, {Ping{5, peer(1)}});
    const auto told = claim(3, {1, 0}, MemberState::Suspect);
    const auto packets = alone.said(address_of(3));
    EXPECT_TRUE(contains(packets, Ack{5}));
    EXPECT_TRUE(contains(packets, told));
}

TEST(Swim, AStrangerThatPingsIntroducesItself) {
    Alone alone;
    alone.hear(2, {Ping{5, peer(1)}});
    EXPECT_TRUE(contains(alone.said(address_of(2)), Stranger{peer(2)}));
    alone.hear(3, {Stranger{peer(1)}});
    EXPECT_TRUE(contains(alone.said(address_of(3)), claim(1, {3, 0}, MemberState::Alive)))
        << "a stranger must hear our claim";
    EXPECT_EQ(alone.swim.counters().refutations, 0U) << "being unknown is no accusation";
}

TEST(Swim, ARelayedPingGoesToTheTableAddressAndItsAckBackToTheAsker) {
    Alone alone;
    alone.hear(3, {claim(3, {1, 0}, MemberState::Alive)});
    alone.said({});
    alone.hear(2, {PingRequest{50, peer(4)}});
    EXPECT_FALSE(alone.swim.poll_transmit().has_value()) << "an unknown member was pinged";
    alone.hear(2, {PingRequest{50, peer(3)}});
    const auto relayed = alone.said(address_of(3));
    ASSERT_EQ(relayed.size(), 1U);
    const auto& ping = std::get<Ping>(relayed[0].messages[0]);
    EXPECT_EQ(ping.target, peer(3));
    alone.hear(3, {Ack{ping.probe}});
    EXPECT_TRUE(contains(alone.said(address_of(2)), Ack{50}));
    alone.hear(3, {Ack{ping.probe}});
    EXPECT_TRUE(alone.said(address_of(2)).empty());
}

TEST(Swim, AHelperWithoutAnAckSaysThatItLives) {
    Alone alone;
    alone.hear(3, {claim(3, {1, 0}, MemberState::Alive)});
    alone.hear(2, {PingRequest{50, peer(3)}});
    alone.said({});
    for (int i = 0; i < 10 && alone.swim.poll_timeout(); ++i) {
        alone.now += milliseconds(50);
        alone.swim.handle_timeout(alone.now);
    }
    EXPECT_TRUE(contains(alone.said(address_of(2)), Nack{50}));
}

TEST(Swim, OnlyAccusersThatAreMembersShortenASuspicion) {
    const auto fails_after = [](const std::vector<std::uint8_t>& accusers) {
        Alone alone;
        for (std::uint8_t i = 2; i < 12; ++i) {
            alone.hear(i, {claim(i, {1, 0}, MemberState::Alive)});
        }
        for (const auto accuser : accusers) {
            auto accusation = claim(3, {1, 0}, MemberState::Suspect);
            accusation.accuser = peer(accuser);
            alone.hear(2, {accusation});
        }
        const auto begin = alone.now;
        // Nobody answers our own probes here: what counts is when the first one is given up.
        while (alone.swim.find(peer(3))->state == MemberState::Suspect) {
            alone.now += milliseconds(10);
            alone.swim.handle_timeout(alone.now);
            while (const auto datagram = alone.swim.poll_transmit()) {
                const auto packet = *parse_datagram(datagram->bytes, kTag);
                const auto* ping = std::get_if<Ping>(&packet.messages.front());
                if (ping != nullptr) alone.hear(ping->target.bytes[0], {Ack{ping->probe}});
            }
        }
        return to_seconds(alone.now - begin);
    };
    const auto confirmed = fails_after({4, 5, 6});
    EXPECT_LT(confirmed, 5.0);
    EXPECT_GT(fails_after({4}), 4 * confirmed);
    EXPECT_GT(fails_after({4, 4, 4}), 4 * confirmed) << "one accuser repeated itself";
    EXPECT_GT(fails_after({4, 100, 101}), 4 * confirmed) << "invented identities counted";
}

TEST(Swim, AFailureHeardInAPageIsOnlyASuspicion) {
    Alone alone;
    alone.hear(3, {claim(3, {1, 0}, MemberState::Alive)});
    const Packet page{
        peer(2), {claim(2, {1, 0}, MemberState::Alive), claim(3, {1, 0}, MemberState::Failed)}};
    ASSERT_TRUE(alone.swim.handle_push_pull(alone.now, encode(page, kTag, kPageMax)));
    EXPECT_EQ(alone.swim.find(peer(3))->state, MemberState::Suspect);
    const Packet gone{peer(2), {claim(3, {1, 0}, MemberState::Left)}};
    ASSERT_TRUE(alone.swim.handle_push_pull(alone.now, encode(gone, kTag, kPageMax)));
    EXPECT_EQ(alone.swim.find(peer(3))->state, MemberState::Left);
}

TEST(Swim, ALeaveIsNowhereAFailure) {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Cluster cluster(seed);
        cluster.grow(8);
        cluster.run(seconds(5));
        cluster.loss = 0.2;
        cluster.swim(3).leave(cluster.now());
        cluster.pump();
        cluster.run(seconds(1));
        cluster.crash(3);
        cluster.loss = 0.0;
        cluster.run(minutes(1));
        for (std::size_t i = 0; i < 8; ++i) {
            if (i == 3) continue;
            EXPECT_FALSE(cluster[i].saw(EventKind::Failed, Cluster::id(3))) << "at " << i;
            EXPECT_TRUE(cluster[i].saw(EventKind::Left, Cluster::id(3))) << "at " << i;
            EXPECT_FALSE(cluster.view(i, 3).has_value()) << "not forgotten at " << i;
        }
    }
}

TEST(Swim, AGoodbyeReachesTheLivingAmongManyDead) {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        Cluster cluster(seed);
        cluster.grow(12);
        cluster.run(seconds(5));
        for (std::size_t dead = 4; dead < 12; ++dead) cluster.crash(dead);
        cluster.swim(3).leave(cluster.now());
        cluster.pump();
        cluster.run(milliseconds(50));
        cluster.crash(3);
        for (const std::size_t i : {0U, 1U, 2U}) {
            EXPECT_TRUE(cluster[i].saw(EventKind::Left, Cluster::id(3))) << "seed " << seed;
        }
    }
}

TEST(Swim, RecordsSpreadNewestWinsAndOutliveTheirPeer) {
    Cluster cluster(5);
    cluster.grow(8);
    cluster.swim(2).set_record(cluster.now(), as_byte_view("one"));
    cluster.pump();
    cluster.run(seconds(3));
    cluster.swim(2).set_record(cluster.now(), as_byte_view("two"));
    cluster.pump();
    cluster.run(seconds(3));
    for (std::size_t i = 0; i < 8; ++i) {
        EXPECT_EQ(as_text(cluster.swim(i).record(Cluster::id(2))), "two");
        EXPECT_EQ(cluster[i].count(EventKind::Record), i == 2 ? 0U : 2U);
    }
    cluster.crash(2);
    cluster.run(minutes(2));
    cluster.grow(1);
    EXPECT_FALSE(cluster.view(0, 2).has_value());
    EXPECT_EQ(as_text(cluster.swim(8).record(Cluster::id(2))), "two");
    EXPECT_EQ(cluster.swim(8).recorded_peers().size(), 1U);
    cluster.start(2, 2);
    cluster.push_pull(2, 0);
    cluster.swim(2).set_record(cluster.now(), as_byte_view("three"));
    cluster.pump();
    cluster.run(seconds(3));
    EXPECT_EQ(as_text(cluster.swim(8).record(Cluster::id(2))), "three");
}

TEST(Swim, RandomNewsNeverBreaksTheMachineNorItsOwnIncarnation) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Rng rng(seed);
        Alone alone;
        Incarnation last = alone.swim.incarnation();
        for (int i = 0; i < 2000; ++i) {
            const auto sender = static_cast<std::uint8_t>(2 + rng.below(20));
            alone.hear(sender, {random_claim(rng, 25), Ack{rng.next()}, Ping{1, peer(1)}});
            if (rng.chance(0.3)) {
                alone.now += milliseconds(rng.below(3000));
                alone.swim.handle_timeout(alone.now);
            }
            while (const auto datagram = alone.swim.poll_transmit()) {
                ASSERT_LE(datagram->bytes.size(), kPacketMax);
            }
            ASSERT_GE(alone.swim.incarnation(), last);
            last = alone.swim.incarnation();
            ASSERT_EQ(alone.swim.find(peer(1))->state, MemberState::Alive);
            ASSERT_EQ(alone.swim.find(peer(1))->incarnation, last);
        }
    }
}

}  // namespace
}  // namespace starling::membership
