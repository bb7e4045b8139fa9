// Goal: an exchange keeps the sum exactly, keeps local steps, brings partners together, and pairs
// that meet in the middle never block each other. Method: averagers over wires in memory with exact
// integers, every delivery order of crossing requests, chunks that decline.

#include <algorithm>
#include <cmath>
#include <map>

#include "tests/unit/gossip/support/gossip_swarm.hpp"

namespace starling::gossip {
namespace {

const std::vector<std::size_t> kSizes{5, 64, 1, 17};

double variance(const IntegerSwarm& swarm) {
    double total = 0.0;
    const auto n = static_cast<double>(swarm.nodes.size());
    for (std::size_t chunk = 0; chunk < swarm.nodes[0].vector->chunks.size(); ++chunk) {
        const auto sum = sum_of(swarm, chunk);
        for (const auto& node : swarm.nodes) {
            for (std::size_t i = 0; i < sum.size(); ++i) {
                const double mean = static_cast<double>(sum[i]) / n;
                const double gap = static_cast<double>(node.vector->chunks[chunk][i]) - mean;
                total += gap * gap;
            }
        }
    }
    return total;
}

void expect_equal_within_one(const IntegerSwarm& swarm) {
    for (std::size_t chunk = 0; chunk < kSizes.size(); ++chunk) {
        for (std::size_t i = 0; i < kSizes[chunk]; ++i) {
            const auto a = swarm.nodes[0].vector->chunks[chunk][i];
            const auto b = swarm.nodes[1].vector->chunks[chunk][i];
            EXPECT_LE(std::abs(a - b), 1) << "chunk " << chunk << " element " << i;
        }
    }
}

TEST(Exchange, CommitLeavesBothEqualAndKeepsTheSum) {
    IntegerSwarm swarm(2, kSizes, 1);
    Rng rng(1);
    randomize(swarm, rng);
    const auto before = sums_of(swarm);
    ASSERT_TRUE(swarm.at(0).begin_exchange(swarm.now));
    EXPECT_FALSE(swarm.at(0).begin_exchange(swarm.now));
    swarm.finish_exchanges();
    EXPECT_EQ(sums_of(swarm), before);
    expect_equal_within_one(swarm);
    for (const auto& node : swarm.nodes) {
        ASSERT_EQ(node.events.size(), 1U);
        EXPECT_EQ(node.events[0].outcome, Outcome::Committed);
        EXPECT_EQ(node.events[0].initiator, &node == &swarm.nodes[0]);
        EXPECT_EQ(node.events[0].chunks_applied, kSizes.size());
        EXPECT_EQ(node.events[0].chunks_half_applied, 0U);
        EXPECT_EQ(node.events[0].bytes, 2U * 87U * 8U);
        EXPECT_GT(node.averager->spread(), 0.0);
    }
    EXPECT_FALSE(swarm.at(0).initiating());
    EXPECT_FALSE(swarm.at(1).responding());
    EXPECT_FALSE(swarm.at(0).poll_timeout().has_value());
}

TEST(Exchange, LocalStepsBetweenFramesAreKept) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        SCOPED_TRACE(testing::Message() << "seed " << seed);
        AveragerConfig config;
        config.window_bytes = 100;
        IntegerSwarm swarm(2, kSizes, seed, config);
        Rng rng(seed);
        randomize(swarm, rng);
        auto expected = sums_of(swarm);
        ASSERT_TRUE(swarm.at(1).begin_exchange(swarm.now));
        while (swarm.deliver()) {
            const auto who = static_cast<std::size_t>(rng.below(2));
            const auto chunk = static_cast<std::size_t>(rng.below(kSizes.size()));
            const auto element = static_cast<std::size_t>(rng.below(kSizes[chunk]));
            swarm.nodes[who].vector->chunks[chunk][element] += 12345;
            expected[chunk][element] += 12345;
        }
        EXPECT_EQ(sums_of(swarm), expected);
        EXPECT_EQ(swarm.at(1).counters().committed, 1U);
    }
}

TEST(Exchange, WindowBoundsWhatIsInFlight) {
    AveragerConfig config;
    config.window_bytes = 3 * 8 * 10;
    IntegerSwarm swarm(2, std::vector<std::size_t>(20, 10), 1, config);
    ASSERT_TRUE(swarm.at(0).begin_exchange(swarm.now));
    swarm.deliver();  // Open
    swarm.deliver();  // Accept
    EXPECT_EQ(swarm.wire.size(), 3U);
    swarm.finish_exchanges();
    EXPECT_EQ(swarm.at(1).counters().committed, 1U);
}

TEST(Exchange, PairInLockstepMeetsEveryTime) {
    IntegerSwarm swarm(2, kSizes, 3);
    Rng rng(3);
    randomize(swarm, rng);
    for (int round = 0; round < 10; ++round) {
        swarm.at(0).begin_exchange(swarm.now);
        swarm.at(1).begin_exchange(swarm.now);
        swarm.finish_exchanges();
        expect_equal_within_one(swarm);
    }
    EXPECT_EQ(swarm.at(0).counters().committed, 10U);
    EXPECT_EQ(swarm.at(1).counters().committed, 10U);
    EXPECT_EQ(swarm.at(1).counters().collapsed, 10U);
    EXPECT_LT(swarm.at(0).spread(), 0.1);
}

TEST(Exchange, CrossingRequestsCollapseIntoOneInEveryDeliveryOrder) {
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        SCOPED_TRACE(testing::Message() << "seed " << seed);
        IntegerSwarm swarm(2, kSizes, seed);
        Rng rng(seed);
        randomize(swarm, rng);
        const auto before = sums_of(swarm);
        swarm.at(0).begin_exchange(swarm.now);
        swarm.at(1).begin_exchange(swarm.now);
        while (swarm.deliver_any(rng)) {
        }
        EXPECT_EQ(sums_of(swarm), before);
        EXPECT_EQ(swarm.at(0).counters().committed, 1U);
        EXPECT_EQ(swarm.at(1).counters().committed, 1U);
        ASSERT_FALSE(swarm.nodes[0].events.empty());
        EXPECT_TRUE(swarm.nodes[0].events.back().initiator) << "the lower id initiates";
        EXPECT_EQ(swarm.at(1).counters().collapsed, 1U);
        EXPECT_FALSE(swarm.at(0).poll_timeout().has_value());
    }
}

TEST(Exchange, ChunksAndRepliesMayComeInAnyOrder) {
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        SCOPED_TRACE(testing::Message() << "seed " << seed);
        // More chunks than may be in flight at once, so that acknowledgements are put out of order.
        IntegerSwarm swarm(2, std::vector<std::size_t>(300, 3), seed);
        Rng rng(seed);
        randomize(swarm, rng);
        const auto before = sums_of(swarm);
        swarm.at(0).begin_exchange(swarm.now);
        swarm.at(1).begin_exchange(swarm.now);
        while (swarm.deliver_loose(rng)) {
        }
        EXPECT_EQ(sums_of(swarm), before);
        EXPECT_EQ(swarm.at(0).counters().committed, 1U);
        EXPECT_EQ(swarm.at(1).counters().committed, 1U);
        EXPECT_EQ(swarm.at(1).counters().half_applied_chunks, 0U);
        EXPECT_FALSE(swarm.at(0).poll_timeout().has_value());
    }
}

/// A lane that breaks takes what is on it; the other side learns of the end by an Abort.
TEST(Exchange, ALostLaneEndsTheExchangeOnBothSides) {
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        SCOPED_TRACE(testing::Message() << "seed " << seed);
        IntegerSwarm swarm(2, std::vector<std::size_t>(40, 3), seed);
        Rng rng(seed);
        const std::size_t who = seed % 2;  // notices first
        swarm.at(0).begin_exchange(swarm.now);
        for (std::uint64_t i = 0; i < 4 + rng.below(40); ++i) swarm.deliver_loose(rng);
        if (!swarm.at(0).initiating() || !swarm.at(1).responding()) continue;
        std::erase_if(swarm.wire, [&](const Letter& letter) {
            return letter.passage != Passage::InOrder && rng.chance(0.5);
        });
        swarm.at(who).handle_loss(
            swarm.now, swarm.nodes[1 - who].id, who == 0 ? Passage::Offer : Passage::Reply
        );
        while (swarm.deliver_loose(rng)) {
        }
        EXPECT_FALSE(swarm.at(0).initiating());
        EXPECT_FALSE(swarm.at(1).responding());
        ASSERT_EQ(swarm.nodes[0].events.size(), 1U);
        ASSERT_EQ(swarm.nodes[1].events.size(), 1U);
        EXPECT_EQ(swarm.nodes[0].events[0].outcome, Outcome::Disconnected);
        EXPECT_EQ(swarm.nodes[1].events[0].outcome, Outcome::Disconnected);
        EXPECT_EQ(swarm.at(0).counters().misdeeds, swarm.at(1).counters().misdeeds);
    }
}

TEST(Exchange, ALostLaneOfTheOtherRoleChangesNothing) {
    IntegerSwarm swarm(2, kSizes, 1);
    swarm.at(0).begin_exchange(swarm.now);
    swarm.deliver();
    swarm.deliver();
    swarm.at(0).handle_loss(swarm.now, swarm.nodes[1].id, Passage::Reply);
    swarm.at(1).handle_loss(swarm.now, swarm.nodes[0].id, Passage::Offer);
    swarm.finish_exchanges();
    EXPECT_EQ(swarm.at(1).counters().committed, 1U);
}

TEST(Exchange, BusyPeerSaysSo) {
    IntegerSwarm swarm(3, kSizes, 1);
    for (auto* averager : {&swarm.at(0), &swarm.at(2)}) averager->peer_down(swarm.now, peer_id(1));
    swarm.at(0).peer_down(swarm.now, peer_id(3));
    swarm.at(2).peer_down(swarm.now, peer_id(1));
    ASSERT_TRUE(swarm.at(0).begin_exchange(swarm.now));
    swarm.deliver();
    ASSERT_TRUE(swarm.at(1).responding());
    ASSERT_TRUE(swarm.at(2).begin_exchange(swarm.now));
    swarm.finish_exchanges();
    EXPECT_EQ(swarm.at(0).counters().committed, 1U);
    EXPECT_EQ(swarm.at(2).counters().busy, 1U);
    ASSERT_EQ(swarm.nodes[2].events.size(), 1U);
    EXPECT_EQ(swarm.nodes[2].events[0].outcome, Outcome::Busy);
}

TEST(Exchange, PeerWithoutParametersAnswersBusy) {
    IntegerSwarm swarm(2, kSizes, 1);
    swarm.at(1).set_accepting(false);
    ASSERT_TRUE(swarm.at(0).begin_exchange(swarm.now));
    swarm.finish_exchanges();
    EXPECT_EQ(swarm.at(0).counters().busy, 1U);
    EXPECT_EQ(swarm.at(0).counters().payload_bytes, 0U);
}

TEST(Exchange, LockedChunksAreServedLaterOnBothSides) {
    for (int declines : {1, 2, 5, 30}) {
        for (std::size_t who : {0U, 1U}) {
            SCOPED_TRACE(testing::Message() << declines << " declines at peer " << who);
            AveragerConfig config;
            config.window_bytes = 600;
            IntegerSwarm swarm(2, kSizes, 1, config);
            Rng rng(1);
            randomize(swarm, rng);
            const auto before = sums_of(swarm);
            swarm.nodes[who].vector->decline_reads = declines;
            swarm.nodes[who].vector->decline_adds = declines;
            ASSERT_TRUE(swarm.at(0).begin_exchange(swarm.now));
            swarm.finish_exchanges();
            EXPECT_EQ(swarm.at(0).counters().committed, 1U);
            EXPECT_EQ(swarm.at(1).counters().committed, 1U);
            EXPECT_EQ(sums_of(swarm), before);
            expect_equal_within_one(swarm);
        }
    }
}

TEST(Exchange, RandomExchangesOfEightContractTheVarianceAndKeepTheSum) {
    for (std::uint64_t seed = 0; seed < 5; ++seed) {
        SCOPED_TRACE(testing::Message() << "seed " << seed);
        IntegerSwarm swarm(8, kSizes, seed);
        Rng rng(seed + 100);
        randomize(swarm, rng);
        const auto sums = sums_of(swarm);
        const double first = variance(swarm);
        double last = first;
        for (int i = 0; i < 80; ++i) {
            swarm.now += std::chrono::seconds(1);
            swarm.at(static_cast<std::size_t>(rng.below(8))).begin_exchange(swarm.now);
            swarm.finish_exchanges();
            // The truncation to integers can add at most 1 an element.
            EXPECT_LE(variance(swarm), last + 87.0);
            last = variance(swarm);
        }
        EXPECT_EQ(sums_of(swarm), sums);
        // Expectation (1 - 1/7)^80 = 4e-6; a thousand times that is far beyond three sigma.
        EXPECT_LT(last, first * 4e-3);
    }
}

TEST(Exchange, OverlappingExchangesOfEightKeepTheSum) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        SCOPED_TRACE(testing::Message() << "seed " << seed);
        AveragerConfig config;
        config.window_bytes = 200;
        IntegerSwarm swarm(8, kSizes, seed, config);
        Rng rng(seed);
        randomize(swarm, rng);
        const auto sums = sums_of(swarm);
        std::uint64_t committed = 0;
        for (int round = 0; round < 20; ++round) {
            swarm.now += std::chrono::seconds(1);
            for (std::size_t i = 0; i < 8; ++i) swarm.at(i).begin_exchange(swarm.now);
            while (swarm.deliver_any(rng)) {
            }
        }
        for (auto& node : swarm.nodes) {
            committed += node.averager->counters().committed;
            EXPECT_EQ(node.averager->counters().aborted, 0U);
            EXPECT_FALSE(node.averager->poll_timeout().has_value());
        }
        EXPECT_GT(committed, 40U);
        EXPECT_EQ(sums_of(swarm), sums);
    }
}

TEST(Exchange, NoPairIsStarvedByExchangesWithoutAPause) {
    // Four that ask again as soon as they may: each can be served by one neighbour and serve the
    // other for ever, and then two pairs never meet.
    for (std::uint64_t seed = 0; seed < 5; ++seed) {
        SCOPED_TRACE(testing::Message() << "seed " << seed);
        AveragerConfig config;
        config.window_bytes = 100;
        const std::vector<std::size_t> sizes(40, 10);
        IntegerSwarm swarm(4, sizes, seed, config);
        for (int step = 0; step < 40000; ++step) {
            swarm.now += std::chrono::milliseconds(2);
            for (std::size_t i = 0; i < 4; ++i) (void)swarm.at(i).begin_exchange(swarm.now);
            for (int i = 0; i < 2; ++i) (void)swarm.deliver();
        }
        std::map<PeerId, std::size_t> met;
        for (const auto& event : swarm.nodes[0].events) {
            if (event.outcome == Outcome::Committed) ++met[event.partner];
        }
        ASSERT_EQ(met.size(), 3U);
        std::size_t least = 1000000;
        std::size_t all = 0;
        for (const auto& [partner, times] : met) {
            least = std::min(least, times);
            all += times;
        }
        EXPECT_GT(10 * least, all) << "of " << all << " exchanges with three partners";
    }
}

TEST(Exchange, FloatsMeetInTheMiddleAndBuffersStayOutOfTheSpread) {
    GossipSwarm<Floats> swarm(2, {3, 2}, 1);
    swarm.nodes[0].vector->chunks = {{1.0F, 2.0F, 2.0F}, {1e6F, 5.0F}};
    swarm.nodes[1].vector->chunks = {{1.0F, 2.0F, 5.0F}, {0.0F, 5.0F}};
    for (auto& node : swarm.nodes) node.vector->buffer = 1;
    ASSERT_TRUE(swarm.at(0).begin_exchange(swarm.now));
    swarm.finish_exchanges();
    const std::vector<std::vector<float>> middle{{1.0F, 2.0F, 3.5F}, {5e5F, 5.0F}};
    EXPECT_EQ(swarm.nodes[0].vector->chunks, middle);
    EXPECT_EQ(swarm.nodes[1].vector->chunks, middle);
    ASSERT_EQ(swarm.nodes[0].events.size(), 1U);
    EXPECT_DOUBLE_EQ(swarm.nodes[0].events[0].relative_distance, 1.0);
    EXPECT_DOUBLE_EQ(swarm.at(0).spread(), 0.25);
}

TEST(Exchange, WhoIsNoPartnerCannotChangeParameters) {
    GossipSwarm<Floats> swarm(2, {1}, 1);
    swarm.at(1).peer_down(swarm.now, peer_id(1));
    swarm.nodes[0].vector->chunks[0][0] = 8.0F;
    ASSERT_TRUE(swarm.at(0).begin_exchange(swarm.now));
    swarm.finish_exchanges();
    EXPECT_EQ(swarm.nodes[1].vector->chunks[0][0], 0.0F);
    ASSERT_EQ(swarm.nodes[0].events.size(), 1U);
    EXPECT_EQ(swarm.nodes[0].events[0].outcome, Outcome::Busy) << "it may ask again";
    swarm.at(1).peer_up(swarm.now, peer_id(1));
    swarm.now += std::chrono::seconds(1);
    ASSERT_TRUE(swarm.at(0).begin_exchange(swarm.now));
    swarm.finish_exchanges();
    EXPECT_EQ(swarm.nodes[1].vector->chunks[0][0], 4.0F);
}

TEST(Exchange, SmallerCoefficientOfTheInitiatorHoldsForBoth) {
    AveragerConfig config;
    config.coefficient = 0.25;
    GossipSwarm<Floats> swarm(2, {1}, 1, config);
    swarm.nodes[1].averager = std::make_unique<Averager>(
        AveragerConfig{}, peer_id(2), layout_hash(1), *swarm.nodes[1].vector, Rng(1)
    );
    swarm.at(1).peer_up(swarm.now, peer_id(1));
    swarm.nodes[0].vector->chunks[0][0] = 8.0F;
    ASSERT_TRUE(swarm.at(0).begin_exchange(swarm.now));
    swarm.finish_exchanges();
    EXPECT_EQ(swarm.nodes[0].vector->chunks[0][0], 6.0F);
    EXPECT_EQ(swarm.nodes[1].vector->chunks[0][0], 2.0F);
}

}  // namespace
}  // namespace starling::gossip
