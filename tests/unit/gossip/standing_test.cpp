// Goal: a ghost receives, gives nothing and is promoted once; rounds pair peers as everybody
// expects, and a peer whose partner does not come takes another. Method: averagers over wires in
// memory.

#include <algorithm>
#include <cmath>
#include <set>

#include "gossip/partner_choice.hpp"
#include "tests/unit/gossip/support/rule_swarm.hpp"

namespace starling::gossip {
namespace {

TEST(Ghost, ReceivesAndGivesNothingWhateverTheRule) {
    for (const char* mix : {"pairwise", "push-sum", "noloco"}) {
        SCOPED_TRACE(mix);
        FloatSwarm swarm(3, {500, 7}, 1, config_of(mix));
        Rng rng(1);
        scatter(swarm, rng);
        swarm.at(0).set_ghost(true);
        isolate(swarm);
        const auto before = swarm.nodes[1].vector->chunks;
        const double apart = double{swarm.nodes[0].vector->chunks[0][3] - before[0][3]};
        meet(swarm, 0, 1);
        EXPECT_EQ(swarm.nodes[1].vector->chunks, before);
        EXPECT_EQ(swarm.at(1).weight(0), 1.0);
        EXPECT_NEAR(double{swarm.nodes[0].vector->chunks[0][3] - before[0][3]}, apart / 2.0, 1e-5);
        EXPECT_EQ(swarm.nodes[0].events.back().rule, Rule::Pull);
        EXPECT_EQ(swarm.at(1).counters().half_applied_chunks, 0U);
        // Nobody mixes with a ghost either.
        ASSERT_TRUE(ask(swarm, 2, 0));
        swarm.finish_exchanges();
        EXPECT_EQ(swarm.nodes[2].events.back().outcome, Outcome::Busy);
    }
}

TEST(Ghost, GoesNoFurtherAtATimeThanTheClipAllows) {
    for (const char* mix : {"pairwise", "push-sum", "noloco"}) {
        SCOPED_TRACE(mix);
        FloatSwarm swarm(2, {500}, 1, config_of(mix));
        auto& own = swarm.nodes[0].vector->chunks[0];
        auto& theirs = swarm.nodes[1].vector->chunks[0];
        std::fill(own.begin(), own.end(), 0.5F);
        std::fill(theirs.begin(), theirs.end(), 0.5F);
        theirs[3] = 1e15F;
        swarm.at(0).set_ghost(true);
        isolate(swarm);
        meet(swarm, 0, 1);
        EXPECT_EQ(swarm.nodes[0].events.back().outcome, Outcome::Committed);
        // Half of ten times its norm and that of as many ones.
        EXPECT_NEAR(double{own[3]}, 0.5 + 5.0 * 1.5 * std::sqrt(500.0), 0.1);
        EXPECT_EQ(own[4], 0.5F);
        // When the squares overflow, it moves nowhere.
        std::fill(own.begin(), own.end(), 0.5F);
        theirs[3] = 3e38F;
        meet(swarm, 0, 1);
        EXPECT_TRUE(std::isfinite(own[3]));
        EXPECT_LT(std::fabs(own[3]), 200.0F);
    }
}

TEST(Ghost, ReachesASwarmThatIsFarAway) {
    FloatSwarm swarm(2, {500}, 1, config_of("pairwise"));
    auto& own = swarm.nodes[0].vector->chunks[0];
    std::fill(own.begin(), own.end(), 0.5F);
    auto& theirs = swarm.nodes[1].vector->chunks[0];
    std::fill(theirs.begin(), theirs.end(), 300.0F);
    swarm.at(0).set_ghost(true);
    isolate(swarm);
    // A full member would refuse it.
    for (int pulls = 0; swarm.at(0).ghost(); ++pulls) {
        meet(swarm, 0, 1);
        ASSERT_LE(pulls, 8);
    }
    meet(swarm, 0, 1);
    EXPECT_EQ(swarm.nodes[0].events.back().outcome, Outcome::Committed);
    EXPECT_EQ(swarm.nodes[0].events.back().rule, Rule::Pairwise);
}

TEST(Ghost, IsPromotedOnceItIsAsNearAsItsPartnersAre) {
    FloatSwarm swarm(3, {500}, 1, config_of("pairwise"));
    Rng rng(1);
    scatter(swarm, rng, 0.1);
    for (auto& node : swarm.nodes) {
        for (auto& value : node.vector->chunks[0]) value += 1.0F;
    }
    for (auto& value : swarm.nodes[0].vector->chunks[0]) value += 3.0F;
    swarm.at(0).set_ghost(true);
    isolate(swarm);
    // Partners know their spread.
    for (int i = 0; i < 8; ++i) {
        scatter(swarm, rng, 0.0);
        meet(swarm, 1, 2);
    }
    int pulls = 0;
    for (auto& value : swarm.nodes[1].vector->chunks[0]) value = 1.0F;
    for (auto& value : swarm.nodes[0].vector->chunks[0]) value = 4.0F;
    while (swarm.at(0).ghost()) {
        meet(swarm, 0, 1);
        ASSERT_LE(++pulls, 8);
    }
    EXPECT_EQ(pulls, 8) << "its partners agree to the bit, so only the count ends it";
    EXPECT_EQ(swarm.at(0).counters().promotions, 1U);
    EXPECT_LT(std::fabs(swarm.nodes[0].vector->chunks[0][0] - 1.0F), 0.02F);
    meet(swarm, 0, 1);
    EXPECT_EQ(swarm.nodes[0].events.back().rule, Rule::Pairwise);
}

TEST(Ghost, OneThatIsNearFromTheStartIsPromotedByItsFirstExchange) {
    FloatSwarm swarm(2, {500}, 1, config_of("pairwise"));
    swarm.at(0).set_ghost(true);
    isolate(swarm);
    meet(swarm, 0, 1);
    EXPECT_FALSE(swarm.at(0).ghost());
}

TEST(Ghost, TwoGhostsInLockstepPromoteEachOther) {
    IntegerSwarm swarm(2, {5, 9}, 3);
    Rng rng(3);
    randomize(swarm, rng);
    swarm.at(0).set_ghost(true);
    swarm.at(1).set_ghost(true);
    for (int i = 0; i < 8; ++i) {
        ASSERT_TRUE(swarm.at(0).begin_exchange(swarm.now));
        ASSERT_TRUE(swarm.at(1).begin_exchange(swarm.now));
        swarm.finish_exchanges();
    }
    EXPECT_FALSE(swarm.at(0).ghost());
    EXPECT_FALSE(swarm.at(1).ghost());
}

TEST(Ghost, AndAFullPeerInLockstepDoNotDeclineEachOtherForEver) {
    for (const std::size_t who : {0U, 1U}) {
        IntegerSwarm swarm(2, {5, 9}, 3);
        Rng rng(3);
        randomize(swarm, rng);
        swarm.at(who).set_ghost(true);
        for (int i = 0; i < 20 && swarm.at(who).ghost(); ++i) {
            swarm.now += std::chrono::seconds(1);
            (void)swarm.at(0).begin_exchange(swarm.now);
            (void)swarm.at(1).begin_exchange(swarm.now);
            swarm.finish_exchanges();
        }
        EXPECT_FALSE(swarm.at(who).ghost());
    }
}

AveragerConfig synchronous() {
    AveragerConfig config;
    config.sync_seed = 42;
    return config;
}

void run_round(IntegerSwarm& swarm, std::uint64_t round) {
    swarm.now += std::chrono::seconds(5);
    for (auto& node : swarm.nodes) (void)node.averager->begin_round(swarm.now, round);
    while (swarm.deliver()) {
    }
}

TEST(Rounds, SixteenPeersAreEqualAfterFour) {
    IntegerSwarm swarm(16, {5, 9}, 3, synchronous());
    Rng rng(3);
    randomize(swarm, rng);
    // Multiples of 16 stay whole through four halvings.
    for (auto& node : swarm.nodes) {
        for (auto& chunk : node.vector->chunks) {
            for (auto& value : chunk) value *= 16;
        }
    }
    const auto before = sums_of(swarm);
    for (std::uint64_t round = 8; round < 12; ++round) run_round(swarm, round);
    EXPECT_EQ(sums_of(swarm), before);
    for (auto& node : swarm.nodes) {
        EXPECT_EQ(node.vector->chunks, swarm.nodes[0].vector->chunks);
        EXPECT_EQ(node.averager->counters().fallbacks, 0U);
    }
}

TEST(Rounds, PeersThatComeAtDifferentTimesAreEqualAfterFourToo) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        IntegerSwarm swarm(16, {5, 9}, seed, synchronous());
        Rng rng(seed);
        randomize(swarm, rng);
        for (auto& node : swarm.nodes) {
            node.averager->count_rounds(swarm.now, true);
            for (auto& chunk : node.vector->chunks) {
                for (auto& value : chunk) value *= 16;
            }
        }
        const auto before = sums_of(swarm);
        std::vector<std::uint64_t> begun(16);
        const auto ready = [&](std::size_t i) { return begun[i] < 4 && !swarm.at(i).in_round(); };
        for (int turn = 0; turn < 100000; ++turn) {
            const auto who = static_cast<std::size_t>(rng.below(16));
            const bool begins = rng.chance(0.05) && ready(who);
            if (begins) (void)swarm.at(who).begin_round(swarm.now, ++begun[who]);
            if (!begins) (void)swarm.deliver_any(rng);
        }
        EXPECT_EQ(begun, std::vector<std::uint64_t>(16, 4)) << "all came to the last round";
        EXPECT_EQ(sums_of(swarm), before);
        for (auto& node : swarm.nodes) {
            EXPECT_EQ(node.vector->chunks, swarm.nodes[0].vector->chunks) << seed;
            EXPECT_EQ(node.averager->counters().fallbacks, 0U);
        }
    }
}

TEST(Rounds, PairsAreSymmetricAndChangeWithTheRound) {
    std::vector<PartnerChoice> views(12);
    for (std::uint8_t a = 0; a < 12; ++a) {
        for (std::uint8_t b = 0; b < 12; ++b) {
            if (a != b) views[a].add(peer_id(static_cast<std::uint8_t>(b + 1)));
        }
    }
    std::set<std::pair<int, int>> pairs;
    for (std::uint64_t round = 0; round < 200; ++round) {
        for (std::uint8_t a = 0; a < 12; ++a) {
            const auto self = peer_id(static_cast<std::uint8_t>(a + 1));
            const auto other = views[a].scheduled(self, 7, round);
            if (!other) continue;
            EXPECT_EQ(views[std::size_t{other->bytes[0]} - 1].scheduled(*other, 7, round), self);
            pairs.insert({a, other->bytes[0]});
        }
    }
    EXPECT_EQ(pairs.size(), 132U) << "everybody meets everybody";
}

TEST(Rounds, WhoeverIsStoodUpTakesARandomPartner) {
    IntegerSwarm swarm(4, {5}, 3, synchronous());
    // The others make steps, but never come to a round.
    for (std::size_t i = 0; i < 3; ++i) swarm.at(i).count_rounds(swarm.now, true);
    for (std::uint64_t round = 1; round <= 6; ++round) {
        swarm.now += std::chrono::seconds(20);
        const auto began = swarm.now;
        ASSERT_TRUE(swarm.at(3).begin_round(swarm.now, round));
        while (swarm.at(3).in_round() && (swarm.deliver() || swarm.advance())) {
        }
        EXPECT_FALSE(swarm.at(3).in_round());
        EXPECT_GE(swarm.now - began, synchronous().sync_wait);
        EXPECT_EQ(swarm.nodes[3].events.back().outcome, Outcome::Committed);
        swarm.finish_exchanges();
    }
    EXPECT_EQ(swarm.at(3).counters().fallbacks, 6U);
}

TEST(Rounds, DeathOfThePartnerEndsTheWait) {
    IntegerSwarm swarm(2, {5}, 3, synchronous());
    swarm.at(0).count_rounds(swarm.now, true);
    ASSERT_TRUE(swarm.at(1).begin_round(swarm.now, 1));
    while (swarm.deliver()) {
    }
    ASSERT_TRUE(swarm.at(1).in_round());
    swarm.at(1).peer_down(swarm.now, peer_id(1));
    EXPECT_FALSE(swarm.at(1).in_round());
}

/// A newcomer shuns partners until it knows how much they have learned. It forgot a request that
/// waited without a word, so its partner waited for ten seconds, and a third peer for that one.
TEST(Rounds, WhoseRequestWaitsIsToldWhenItIsAPartnerNoMore) {
    IntegerSwarm swarm(2, {5}, 3, synchronous());
    swarm.at(0).count_rounds(swarm.now, true);
    ASSERT_TRUE(swarm.at(1).begin_round(swarm.now, 1));
    while (swarm.deliver()) {
    }
    ASSERT_TRUE(swarm.at(1).in_round());
    swarm.at(0).peer_down(swarm.now, peer_id(2));
    while (swarm.deliver()) {
    }
    EXPECT_FALSE(swarm.at(1).in_round()) << "no time has passed";
    EXPECT_EQ(swarm.nodes[1].events.back().outcome, Outcome::Busy);
}

TEST(Rounds, ALaterOneWaitsUntilItIsThere) {
    for (const std::size_t early : {0U, 1U}) {
        IntegerSwarm swarm(2, {5, 9}, 3, synchronous());
        Rng rng(3);
        randomize(swarm, rng);
        const std::size_t late = 1 - early;
        swarm.at(late).count_rounds(swarm.now, true);
        ASSERT_TRUE(swarm.at(early).begin_round(swarm.now, 8));
        while (swarm.deliver()) {
        }
        EXPECT_TRUE(swarm.at(early).in_round());
        EXPECT_EQ(swarm.at(early).counters().committed, 0U);
        // Nor does an exchange that belongs to no round end it.
        swarm.now += std::chrono::seconds(5);
        ASSERT_TRUE(swarm.at(late).begin_round(swarm.now, 8));
        while (swarm.deliver()) {
        }
        for (auto& node : swarm.nodes) {
            EXPECT_FALSE(node.averager->in_round());
            EXPECT_EQ(node.averager->counters().committed, 1U);
            EXPECT_EQ(node.averager->counters().fallbacks, 0U);
        }
    }
}

TEST(Rounds, AnExchangeThatBelongsToNoneDoesNotEndOne) {
    IntegerSwarm swarm(4, {5}, 3, synchronous());
    for (auto& node : swarm.nodes) node.averager->count_rounds(swarm.now, true);
    ASSERT_TRUE(swarm.at(0).begin_round(swarm.now, 1));
    while (swarm.deliver()) {
    }
    for (std::size_t i = 0; i < 30; ++i) {
        swarm.now += std::chrono::milliseconds(200);
        ASSERT_TRUE(swarm.at(1 + i % 3).begin_exchange(swarm.now));
        while (swarm.deliver()) {
        }
    }
    EXPECT_GT(swarm.at(0).counters().committed, 0U) << "it was asked";
    EXPECT_TRUE(swarm.at(0).in_round());
}

TEST(Rounds, AnEarlierOneIsRefusedAndItsPeerCatchesUp) {
    IntegerSwarm swarm(2, {5}, 3, synchronous());
    // Peer 2 was away: it counts from 5, the other one from 900.
    swarm.at(0).count_rounds(swarm.now, true);
    ASSERT_TRUE(swarm.at(0).begin_round(swarm.now, 900));
    swarm.finish_exchanges();
    ASSERT_TRUE(swarm.at(1).begin_round(swarm.now, 5));
    while (swarm.deliver()) {
    }
    EXPECT_EQ(swarm.at(1).round(), 900U);
    swarm.now += std::chrono::seconds(20);
    ASSERT_TRUE(swarm.at(1).begin_round(swarm.now, 6));
    ASSERT_TRUE(swarm.at(0).begin_round(swarm.now, 901));
    while (swarm.deliver()) {
    }
    EXPECT_EQ(swarm.at(1).round(), 901U);
    EXPECT_FALSE(swarm.at(0).in_round());
    EXPECT_FALSE(swarm.at(1).in_round());
}

TEST(Rounds, ARequestFarAheadShowsThatWeWereAway) {
    IntegerSwarm swarm(2, {5}, 3, synchronous());
    swarm.at(1).count_rounds(swarm.now, true);
    ASSERT_TRUE(swarm.at(0).begin_round(swarm.now, 900));
    while (swarm.deliver()) {
    }
    ASSERT_TRUE(swarm.at(1).begin_round(swarm.now, 5));
    while (swarm.deliver()) {
    }
    EXPECT_EQ(swarm.at(1).round(), 900U);
    EXPECT_FALSE(swarm.at(0).in_round());
    EXPECT_EQ(swarm.at(0).counters().fallbacks, 0U);
}

TEST(Rounds, WhoMakesNoStepsAnswersAtOnce) {
    IntegerSwarm swarm(2, {5}, 3, synchronous());
    ASSERT_TRUE(swarm.at(0).begin_round(swarm.now, 8));
    while (swarm.deliver()) {
    }
    EXPECT_FALSE(swarm.at(0).in_round());
    EXPECT_EQ(swarm.at(0).counters().committed, 1U);
    swarm.at(1).count_rounds(swarm.now, true);
    swarm.now += std::chrono::seconds(5);
    ASSERT_TRUE(swarm.at(0).begin_round(swarm.now, 9));
    while (swarm.deliver()) {
    }
    EXPECT_TRUE(swarm.at(0).in_round());
    swarm.at(1).count_rounds(swarm.now, false);
    while (swarm.deliver()) {
    }
    EXPECT_FALSE(swarm.at(0).in_round());
}

}  // namespace
}  // namespace starling::gossip
