// Goal: a peer learns what the swarm knows of its earlier lives, and of two processes with one identity
// exactly one ends, the younger where one is younger. Method: small clusters in which a state directory
// is restored or copied.

#include "membership/identity_conflict.hpp"

#include <gtest/gtest.h>

#include "tests/unit/membership/support/alone.hpp"
#include "tests/unit/membership/support/cluster.hpp"

namespace starling::membership {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using Verdict = IdentityConflict::Verdict;

/// Starts a process with the identity of node `original` and returns its index.
std::size_t start_copy(Cluster& cluster, std::size_t original, std::uint64_t epoch) {
    cluster.add_copy(original, epoch);
    return cluster.size() - 1;
}

/// Runs the cluster, and ends processes as their drivers would.
void run_and_end(Cluster& cluster, Duration span) {
    for (Duration passed{}; passed < span; passed += seconds(1)) {
        cluster.run(seconds(1));
        for (std::size_t i = 0; i < cluster.size(); ++i) {
            if (cluster[i].count(EventKind::Displaced) > 0) cluster.crash(i);
        }
    }
}

TEST(IdentityConflict, ACopyThatStartsBesideItsOriginalEndsAndTheOriginalStays) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        SCOPED_TRACE(seed);
        for (const std::uint64_t epoch : {1U, 2U, 9U}) {
            Cluster cluster(seed);
            cluster.grow(4);
            cluster.run(minutes(1));
            const auto copy = start_copy(cluster, 1, epoch);
            cluster.push_pull(copy, 0);
            run_and_end(cluster, seconds(20));
            EXPECT_FALSE(cluster[copy].up);
            ASSERT_TRUE(cluster[1].up);
            EXPECT_GT(cluster[1].count(EventKind::Contested), 0U) << "the original notices, too";
            EXPECT_EQ(cluster.swim(1).rival(), cluster[copy].address);
            for (std::size_t i = 0; i < 4; ++i) {
                const auto member = cluster.swim(i).find(Cluster::id(1));
                ASSERT_TRUE(member.has_value());
                EXPECT_EQ(member->state, MemberState::Alive);
                EXPECT_EQ(member->address, cluster[1].address) << i;
            }
        }
    }
}

TEST(IdentityConflict, AFounderThatIsAloneMeetsItsOwnCopy) {
    for (const bool restarted : {false, true}) {
        Cluster cluster(7);
        // A founder knows that nobody can have known it before; one that comes back does not.
        cluster.found();
        if (restarted) cluster.start(0, 2);
        cluster.run(minutes(30));
        const auto copy = start_copy(cluster, 0, 2);
        cluster.push_pull(copy, 0);
        run_and_end(cluster, seconds(20));
        EXPECT_NE(cluster[0].up, cluster[copy].up);
        EXPECT_TRUE(cluster[0].up || restarted);
    }
}

TEST(IdentityConflict, OfTwoThatStartTogetherOneEnds) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        SCOPED_TRACE(seed);
        Cluster cluster(seed);
        cluster.grow(3);
        cluster.run(minutes(1));
        cluster.crash(2);
        const auto first = start_copy(cluster, 2, 2);
        const auto second = start_copy(cluster, 2, 2);
        cluster.push_pull(first, 0);
        cluster.push_pull(second, 1);
        run_and_end(cluster, seconds(30));
        EXPECT_NE(cluster[first].up, cluster[second].up);
    }
}

TEST(IdentityConflict, OfTwoThatMeetWhenAPartitionHealsOneEnds) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        SCOPED_TRACE(seed);
        Cluster cluster(seed);
        cluster.grow(4);
        cluster.run(minutes(1));
        const auto copy = cluster.size();
        // Node 2 and the copy of node 1 on one side, all others on the other.
        const auto side = [copy](std::size_t i) { return i == 2 || i == copy; };
        cluster.link = [&](std::size_t a, std::size_t b) { return side(a) == side(b); };
        start_copy(cluster, 1, 2);
        cluster.push_pull(copy, 2);
        run_and_end(cluster, seconds(40));
        EXPECT_TRUE(cluster[1].up && cluster[copy].up);
        cluster.link = [](std::size_t, std::size_t) { return true; };
        run_and_end(cluster, minutes(3));
        EXPECT_NE(cluster[1].up, cluster[copy].up);
    }
}

TEST(IdentityConflict, AStateFromABackupGoesAboveItsLaterLivesInSilence) {
    for (const Duration absence :
         {Duration(seconds(1)), Duration(seconds(20)), Duration(minutes(2))}) {
        for (const bool goodbye : {false, true}) {
            Cluster cluster(3);
            cluster.grow(4);
            cluster.run(seconds(30));
            cluster.start(1, 7);
            cluster.push_pull(1, 0);
            cluster.run(seconds(30));
            if (goodbye) {
                cluster.swim(1).leave(cluster.now());
                cluster.pump();
                cluster.run(seconds(1));
            }
            cluster.crash(1);
            cluster.run(absence);
            cluster.start(1, 4, 7001);
            cluster.push_pull(1, 0);
            cluster.run(seconds(10));
            EXPECT_TRUE(cluster.whole()) << to_seconds(absence) << " " << goodbye;
            EXPECT_GE(cluster.swim(1).incarnation().epoch, 8U);
            EXPECT_EQ(cluster[1].count(EventKind::Displaced), 0U);
            EXPECT_EQ(cluster[1].count(EventKind::Contested), 0U);
        }
    }
}

TEST(IdentityConflict, TheEpochIsLearnedFromTheFirstPage) {
    Cluster cluster(3);
    cluster.grow(3);
    cluster.run(seconds(30));
    cluster.crash(1);
    // The very same epoch, as after a restored backup: the address alone tells the lives apart.
    cluster.start(1, 1, 7001);
    for (const auto& page : cluster.swim(0).push_pull_pages()) {
        ASSERT_TRUE(cluster.swim(1).handle_push_pull(cluster.now(), page).has_value());
    }
    EXPECT_EQ(cluster.swim(1).incarnation(), (Incarnation{2, 0})) << "before it sends anything";
}

TEST(IdentityConflict, TwoLivesOfOneEpochAndOneAddressAreToldApartByTheirMarks) {
    for (const auto& [first, second] : {std::pair(5U, 900U), std::pair(900U, 5U)}) {
        Cluster cluster(3);
        cluster.grow(3);
        cluster.run(seconds(10));
        cluster.crash(1);
        cluster.start_marked(1, 4, first);
        cluster.push_pull(1, 0);
        cluster.run(seconds(10));
        EXPECT_EQ(cluster.swim(1).incarnation(), (Incarnation{4, first}));
        cluster.crash(1);
        cluster.start_marked(1, 4, second);
        cluster.meet(1, 0);
        EXPECT_EQ(cluster.swim(1).incarnation(), (Incarnation{5, second}));
        cluster.run(seconds(10));
        EXPECT_TRUE(cluster.whole());
        EXPECT_EQ(cluster[1].count(EventKind::Contested), 0U);
    }
}

TEST(IdentityConflict, OnlyOurOwnSignatureCounts) {
    Alone alone;
    auto lie = claim(1, {9, 0}, MemberState::Alive);
    lie.address = address_of(9);
    alone.hear(2, {lie});
    EXPECT_EQ(alone.swim.incarnation(), (Incarnation{3, 0}));
    EXPECT_EQ(alone.swim.counters().forged, 1U);
    // Nor does an unsigned word about lives that can hardly have been.
    alone.hear(2, {Forgotten{peer(1), {std::uint64_t{1} << 40U, 0}}});
    EXPECT_EQ(alone.swim.incarnation(), (Incarnation{3, 0}));
    alone.hear(2, {Forgotten{peer(1), {40, 0}}});
    EXPECT_EQ(alone.swim.incarnation(), (Incarnation{41, 0}));
    alone.now += minutes(1);
    alone.hear(2, {Forgotten{peer(1), {80, 0}}});
    EXPECT_EQ(alone.swim.incarnation(), (Incarnation{41, 0})) << "it has arrived long ago";
}

TEST(IdentityConflict, ADatagramOfAnotherProcessWithOurIdCountsOnlyForWhatItSaysOfUs) {
    Alone alone;
    auto ours = claim(1, {5, 2}, MemberState::Alive);
    ours.address = address_of(9);
    sign(ours);
    alone.hear(
        1, {claim(7, {1, 0}, MemberState::Alive), claim(1, {3, 0}, MemberState::Failed), ours}
    );
    EXPECT_EQ(alone.swim.incarnation(), (Incarnation{6, 0}));
    EXPECT_FALSE(alone.swim.find(peer(7)).has_value());
    EXPECT_EQ(alone.swim.counters().reflected, 1U);
    EXPECT_TRUE(contains(alone.said(address_of(9)), claim(1, {6, 0}, MemberState::Alive)));
}

TEST(IdentityConflict, NothingIsAboveTheLastEpoch) {
    Alone alone;
    alone.hear(2, {claim(1, {kCounterMax - 1, 0}, MemberState::Alive)});
    EXPECT_EQ(alone.swim.incarnation(), (Incarnation{3, 0}));
    EXPECT_EQ(alone.swim.poll_event()->kind, EventKind::Displaced);
}

/// Counts the claims that make a process yield which had been here for `age` when the first came.
int patience(Duration age, bool smaller_address) {
    IdentityConflict conflict;
    conflict.note_contact(Instant{});
    const auto now = Instant{} + age;
    const auto low = address_of(1);
    const auto high = address_of(2);
    const auto ours = smaller_address ? low : high;
    const auto theirs = smaller_address ? high : low;
    int claims = 1;
    while (conflict.on_claim(now, ours, theirs) != Verdict::Yield) ++claims;
    return claims;
}

TEST(IdentityConflict, TheYoungerYieldsWhileTheElderStillContests) {
    const Duration ages[] = {
        Duration::zero(), milliseconds(500), seconds(2), seconds(10), minutes(1)};
    int before = 3;  // a few earlier lives are no reason to end
    for (const auto age : ages) {
        EXPECT_GT(patience(age, false), before) << to_seconds(age);
        EXPECT_EQ(patience(age, true), patience(age, false) + 1) << to_seconds(age);
        before = patience(age, true);
    }
    EXPECT_EQ(patience(minutes(1), true), patience(minutes(1000), true));
}

TEST(IdentityConflict, ClaimsFarApartAreDifferentStories) {
    IdentityConflict conflict;
    conflict.note_contact(Instant{});
    for (int i = 1; i < 100; ++i) {
        const auto now = Instant{} + minutes(20) * i;
        EXPECT_EQ(conflict.on_claim(now, address_of(1), address_of(2)), Verdict::Contest);
    }
}

}  // namespace
}  // namespace starling::membership
