// Goal: crashes are found by all, and nothing but a crash is taken for one. Method: machines in
// virtual time on a network that crashes, pauses, cuts and loses on command.

#include <gtest/gtest.h>
#include <optional>

#include "tests/unit/membership/support/alone.hpp"
#include "tests/unit/membership/support/cluster.hpp"

namespace starling::membership {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

TEST(SwimFaults, ACrashIsDetectedByAllWithinTheBound) {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Cluster cluster(seed);
        cluster.grow(16);
        cluster.run(seconds(5));
        cluster.crash(7);
        // Two rounds of probes at most (SWIM 4.3), the suspicion of 4.8 s, a few gossip ticks.
        cluster.run(seconds(14));
        for (std::size_t i = 0; i < 16; ++i) {
            if (i == 7) continue;
            EXPECT_TRUE(cluster[i].saw(EventKind::Failed, Cluster::id(7))) << "at " << i;
            EXPECT_EQ(cluster[i].count(EventKind::Failed), 1U) << "at " << i;
            EXPECT_EQ(cluster.view(i, 7), MemberState::Failed);
            EXPECT_EQ(cluster.swim(i).alive_count(), 15U);
        }
        EXPECT_TRUE(cluster.whole());
        cluster.run(seconds(60));
        EXPECT_FALSE(cluster.view(0, 7).has_value()) << "the tombstone should be forgotten";
    }
}

/// Two machines beside one that a test talks to by hand; peer 3 says nothing.
struct Watcher : Alone {
    Watcher() {
        for (std::uint8_t i = 2; i <= 5; ++i) hear(i, {claim(i, {1, 0}, MemberState::Alive)});
    }

    /// Runs; all but peer 3 answer. Returns when peer 3 is suspected, or when the time is over.
    Instant run_until_suspected(Duration longest) {
        const Instant end = now + longest;
        while (now < end && swim.find(peer(3))->state == MemberState::Alive) {
            now += milliseconds(10);
            swim.handle_timeout(now);
            while (const auto datagram = swim.poll_transmit()) answer(*datagram);
            while (const auto request = swim.poll_stream()) {
                if (refuses && request->peer == peer(3)) {
                    swim.handle_stream_refused(now, peer(3));
                }
            }
        }
        return now;
    }

    void answer(const Datagram& datagram) {
        const auto packet = *parse_datagram(datagram.bytes, kTag);
        for (const auto& message : packet.messages) {
            const auto* ping = std::get_if<Ping>(&message);
            if (ping != nullptr) {
                if (ping->target == peer(3)) first_ping = first_ping.value_or(now);
                if (ping->target != peer(3)) hear(ping->target.bytes[0], {Ack{ping->probe}});
            }
            const auto* request = std::get_if<PingRequest>(&message);
            if (request != nullptr) nack(datagram.to, request->probe);
        }
    }

    void nack(const Endpoint& helper, std::uint64_t probe) {
        for (std::uint8_t i = 2; i <= 5; ++i) {
            if (address_of(i) == helper) hear(i, {Nack{probe}});
        }
    }

    bool refuses = false;
    std::optional<Instant> first_ping;
};

TEST(SwimFaults, OneMissIsTheObserversAlone) {
    Watcher watcher;
    const auto suspected = watcher.run_until_suspected(seconds(20));
    ASSERT_EQ(watcher.swim.find(peer(3))->state, MemberState::Suspect);
    EXPECT_GE(suspected - *watcher.first_ping, milliseconds(1700)) << "two periods";
    EXPECT_LE(suspected - *watcher.first_ping, milliseconds(2300));
    Watcher heard;
    heard.now += milliseconds(1);
    while (!heard.first_ping) {
        heard.now += milliseconds(10);
        heard.swim.handle_timeout(heard.now);
        while (const auto datagram = heard.swim.poll_transmit()) heard.answer(*datagram);
    }
    // It answers nothing, but it says something in time.
    for (int i = 0; i < 20; ++i) {
        (void)heard.run_until_suspected(milliseconds(500));
        heard.hear(3, {Ack{1}});
    }
    EXPECT_EQ(heard.swim.find(peer(3))->state, MemberState::Alive);
}

TEST(SwimFaults, ARefusedStreamMakesASuspectAtOnce) {
    Watcher watcher;
    watcher.refuses = true;
    const auto suspected = watcher.run_until_suspected(seconds(20));
    ASSERT_EQ(watcher.swim.find(peer(3))->state, MemberState::Suspect);
    EXPECT_LE(suspected - *watcher.first_ping, milliseconds(600)) << "when the direct ack is late";
}

TEST(SwimFaults, SilentHelpersThatAreDeadAreNoBlameOfOurs) {
    // Half of the swarm is gone, so most helpers are silent, and yet the others keep their pace.
    Cluster cluster(4);
    cluster.grow(20);
    cluster.run(seconds(10));
    for (std::size_t i = 4; i < 20; ++i) cluster.crash(i);
    cluster.run(seconds(13));
    for (std::size_t i = 0; i < 4; ++i) {
        EXPECT_EQ(cluster[i].count(EventKind::Failed), 16U) << "at " << i;
        EXPECT_EQ(cluster.swim(i).alive_count(), 4U);
    }
}

TEST(SwimFaults, ARefusedSendCountsAsAMissedProbe) {
    Cluster cluster(1);
    cluster.grow(2);
    cluster.run(seconds(5));
    cluster.refuse_sends_to_down = true;
    cluster.crash(1);
    cluster.run(seconds(8));
    EXPECT_TRUE(cluster[0].saw(EventKind::Suspected, Cluster::id(1)));
    EXPECT_TRUE(cluster[0].saw(EventKind::Failed, Cluster::id(1)));
}

TEST(SwimFaults, ALostStreamMakesItsOtherEndLookInTheNextPeriod) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        Cluster cluster(seed);
        cluster.grow(32);
        cluster.run(seconds(10));
        cluster.crash(5);
        cluster.swim(3).handle_stream_lost(cluster.now(), Cluster::id(5));
        // One period until the probe begins and one until it has failed, jitter included.
        cluster.run(milliseconds(2300));
        EXPECT_TRUE(cluster[3].saw(EventKind::Suspected, Cluster::id(5))) << "seed " << seed;
    }
}

TEST(SwimFaults, StreamsThatLiveMembersLoseCostTwoProbesAPeriodAndNoSuspicion) {
    Cluster cluster(3);
    cluster.grow(8);
    cluster.run(seconds(10));
    const auto before = cluster.swim(0).counters().probes;
    for (int i = 0; i < 6000; ++i) {
        cluster.swim(0).handle_stream_lost(cluster.now(), Cluster::id(4));
        cluster.swim(0).handle_stream_lost(cluster.now(), Cluster::id(40));
        cluster.run(milliseconds(10));
    }
    const auto probes = cluster.swim(0).counters().probes - before;
    EXPECT_GT(probes, 90U);
    EXPECT_LT(probes, 200U);
    for (std::size_t i = 0; i < 8; ++i) EXPECT_EQ(cluster[i].count(EventKind::Suspected), 0U);
}

TEST(SwimFaults, HelpersSaveAMemberThatOneOfUsCannotReach) {
    Cluster cluster(2);
    cluster.grow(6);
    cluster.run(seconds(5));
    cluster.link = [](std::size_t from, std::size_t to) {
        return !((from == 0 && to == 1) || (from == 1 && to == 0));
    };
    cluster.run(minutes(2));
    for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(cluster[i].count(EventKind::Suspected), 0U);
}

TEST(SwimFaults, APeerWithoutUdpStaysAMemberAndTheBlockIsTold) {
    struct Case {
        const char* what;
        Cluster::Link firewall;
        bool out_at_0;
        bool in_at_0;
    };

    const Case cases[] = {
        {"nothing reaches it", [](std::size_t, std::size_t to) { return to != 3; }, false, true},
        {"nothing leaves it", [](std::size_t from, std::size_t) { return from != 3; }, true, false},
        {"neither",
         [](std::size_t from, std::size_t to) { return from != 3 && to != 3; },
         true,
         false},
    };
    for (const auto& [what, firewall, out, in] : cases) {
        SCOPED_TRACE(what);
        Cluster cluster(2);
        cluster.grow(8);
        cluster.run(seconds(5));
        cluster.firewall = firewall;
        cluster.run(minutes(3));
        EXPECT_TRUE(cluster.whole());
        for (std::size_t i = 0; i < 8; ++i) EXPECT_EQ(cluster[i].count(EventKind::Failed), 0U);
        EXPECT_GT(cluster.swim(0).counters().probes_by_stream, 0U);
        EXPECT_EQ(cluster.swim(0).find(Cluster::id(3))->udp_out, out);
        EXPECT_EQ(cluster.swim(0).find(Cluster::id(3))->udp_in, in);
        // News finds it all the same.
        cluster.grow(1);
        cluster.run(seconds(20));
        EXPECT_TRUE(cluster.whole());
        cluster.firewall = [](std::size_t, std::size_t) { return true; };
        cluster.run(seconds(20));
        EXPECT_TRUE(cluster.swim(0).find(Cluster::id(3))->udp_out);
        EXPECT_TRUE(cluster.swim(0).find(Cluster::id(3))->udp_in);
    }
}

TEST(SwimFaults, ASuspectThatLivesRefutesAndStays) {
    Cluster cluster(3);
    cluster.grow(8);
    cluster.run(seconds(5));
    cluster.link = [](std::size_t from, std::size_t to) { return from != 4 && to != 4; };
    cluster.run(seconds(3));
    cluster.link = [](std::size_t, std::size_t) { return true; };
    cluster.run(seconds(20));
    EXPECT_TRUE(cluster.whole());
    std::size_t refuted = 0;
    for (std::size_t i = 0; i < 8; ++i) {
        EXPECT_FALSE(cluster[i].saw(EventKind::Failed, Cluster::id(4)));
        refuted += cluster[i].saw(EventKind::Refuted, Cluster::id(4)) ? 1U : 0U;
    }
    EXPECT_GE(refuted, 6U);
    EXPECT_GT(cluster.swim(4).incarnation().counter, 0U);
}

TEST(SwimFaults, ARestartWithAHigherEpochBeatsEveryOldRumourAtOnce) {
    Cluster cluster(4);
    cluster.grow(8);
    cluster.run(seconds(5));
    cluster.crash(5);
    cluster.run(seconds(15));
    ASSERT_EQ(cluster.view(0, 5), MemberState::Failed);
    cluster.start(5, 2, 7001);
    cluster.push_pull(5, 0);
    cluster.run(seconds(3));
    EXPECT_TRUE(cluster.whole());
    EXPECT_EQ(cluster.swim(5).counters().refutations, 0U) << "the epoch alone must do";
    for (std::size_t i = 0; i < 8; ++i) {
        EXPECT_EQ(cluster.swim(i).find(Cluster::id(5))->address.port, 7001);
    }
}

TEST(SwimFaults, AQuickRestartElsewhereIsAMove) {
    Cluster cluster(5);
    cluster.grow(4);
    cluster.run(seconds(5));
    cluster.start(2, 2, 7009);
    cluster.push_pull(2, 0);
    cluster.run(seconds(2));
    for (const std::size_t i : {0U, 1U, 3U}) {
        EXPECT_TRUE(cluster[i].saw(EventKind::Moved, Cluster::id(2)));
        EXPECT_FALSE(cluster[i].saw(EventKind::Failed, Cluster::id(2)));
    }
}

TEST(SwimFaults, ADepartedPeerComesBackWithAHigherEpoch) {
    Cluster cluster(6);
    cluster.grow(4);
    cluster.run(seconds(5));
    cluster.swim(1).leave(cluster.now());
    cluster.pump();
    cluster.run(seconds(2));
    cluster.start(1, 2);
    cluster.push_pull(1, 0);
    cluster.run(seconds(3));
    EXPECT_TRUE(cluster.whole());
}

TEST(SwimFaults, APauseShorterThanTheSuspicionKillsNobodyOnEitherSide) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Cluster cluster(seed);
        cluster.grow(10);
        cluster.run(seconds(5));
        cluster.pause(2);
        // The shortest suspicion of ten lasts 2.8 s, and the probe before it most of a second.
        cluster.run(milliseconds(3500));
        cluster.resume(2);
        cluster.run(seconds(20));
        EXPECT_TRUE(cluster.whole());
        for (std::size_t i = 0; i < 10; ++i) EXPECT_EQ(cluster[i].count(EventKind::Failed), 0U);
    }
}

TEST(SwimFaults, ALongSleeperDeclaresNobodyFailedAndIsTakenBack) {
    Cluster cluster(7);
    cluster.grow(6);
    cluster.run(seconds(5));
    // It holds somebody suspect when it falls asleep.
    cluster.link = [](std::size_t from, std::size_t to) { return from != 1 && to != 1; };
    cluster.run(seconds(3));
    cluster.pause(2);
    cluster.link = [](std::size_t, std::size_t) { return true; };
    cluster.run(seconds(25));
    cluster.resume(2);
    EXPECT_EQ(cluster[2].count(EventKind::Failed), 0U);
    cluster.run(seconds(20));
    EXPECT_EQ(cluster[2].count(EventKind::Failed), 0U);
    EXPECT_TRUE(cluster.whole());
}

void expect_heals(std::uint64_t seed, std::size_t n, Duration cut, Duration patience) {
    SCOPED_TRACE("seed " + std::to_string(seed) + " n " + std::to_string(n));
    Cluster cluster(seed);
    cluster.grow(n);
    cluster.run(seconds(5));
    cluster.link = [n](std::size_t from, std::size_t to) { return (from < n / 2) == (to < n / 2); };
    cluster.run(cut);
    EXPECT_FALSE(cluster.whole()) << "the cut was not noticed";
    cluster.link = [](std::size_t, std::size_t) { return true; };
    cluster.run(patience);
    EXPECT_TRUE(cluster.whole()) << "not whole " << to_seconds(patience) << " s after the cut";
}

TEST(SwimFaults, APartitionHealsByItself) {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        expect_heals(seed, 16, seconds(25), seconds(8));  // tombstones still known
        expect_heals(seed, 16, seconds(60), seconds(8));  // forgotten, but still among the departed
        expect_heals(seed, 2, seconds(60), seconds(20));  // one against one
        expect_heals(seed, 8, minutes(12), seconds(60));  // not even among the departed
    }
}

TEST(SwimFaults, HeavyLossDelaysButNeverLosesAnybodyForGood) {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Cluster cluster(seed);
        cluster.grow(10);
        cluster.loss = 0.3;
        cluster.run(minutes(5));
        cluster.loss = 0.0;
        cluster.run(minutes(1));
        EXPECT_TRUE(cluster.whole());
        EXPECT_FALSE(cluster.oversized());
    }
}

TEST(SwimFaults, SameSeedSameTrace) {
    const auto trace = [] {
        Cluster cluster(11);
        cluster.grow(8);
        cluster.loss = 0.1;
        cluster.run(seconds(60));
        cluster.crash(1);
        cluster.run(seconds(60));
        return std::pair(cluster.datagrams(), cluster.swim(0).counters().bytes_sent);
    };
    EXPECT_EQ(trace(), trace());
}

}  // namespace
}  // namespace starling::membership
