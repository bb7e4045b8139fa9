// Goal: whole exchanges in each encoding keep the mean, bring the peers together, and survive what
// the encoding cannot decode. Method: averagers over wires in memory on floats.

#include <cmath>

#include "base/rng.hpp"
#include "gossip/codec.hpp"
#include "tests/unit/gossip/support/gossip_swarm.hpp"

namespace starling::gossip {
namespace {

using FloatSwarm = GossipSwarm<Floats>;

const std::vector<std::size_t> kSizes{5000, 64, 1, 4096};

AveragerConfig with(Encoding encoding) {
    AveragerConfig config;
    config.encoding = encoding;
    config.window_bytes = 16384;
    return config;
}

/// One common model, and everybody's own distance from it.
void scatter(FloatSwarm& swarm, double distance, Rng& rng) {
    std::vector<std::vector<float>> common;
    for (const auto size : kSizes) {
        auto& chunk = common.emplace_back(size);
        for (auto& value : chunk) value = static_cast<float>(rng.normal());
    }
    for (auto& node : swarm.nodes) {
        node.vector->chunks = common;
        for (auto& chunk : node.vector->chunks) {
            for (auto& value : chunk) value += static_cast<float>(distance * rng.normal());
        }
    }
}

double mean_of(const FloatSwarm& swarm, std::size_t chunk, std::size_t at) {
    double sum = 0.0;
    for (const auto& node : swarm.nodes) sum += double{node.vector->chunks[chunk][at]};
    return sum / static_cast<double>(swarm.nodes.size());
}

double variance(const FloatSwarm& swarm) {
    double total = 0.0;
    for (std::size_t chunk = 0; chunk < kSizes.size(); ++chunk) {
        for (std::size_t at = 0; at < kSizes[chunk]; ++at) {
            const double mean = mean_of(swarm, chunk, at);
            for (const auto& node : swarm.nodes) {
                total += std::pow(double{node.vector->chunks[chunk][at]} - mean, 2);
            }
        }
    }
    return total;
}

std::vector<double> means(const FloatSwarm& swarm) {
    std::vector<double> all;
    for (std::size_t chunk = 0; chunk < kSizes.size(); ++chunk) {
        for (std::size_t at = 0; at < kSizes[chunk]; ++at) {
            all.push_back(mean_of(swarm, chunk, at));
        }
    }
    return all;
}

/// Without rounding (1 - 1/7)^120 = 1e-8. bf16 leaves values 2^-8 apart where they are; a lattice
/// shrinks its scale once per meeting of a pair, of which each has about four here.
double left_after_120(Encoding encoding) {
    switch (encoding) {
        case Encoding::Bf16:
            return 0.2;
        case Encoding::Lattice8:
            return 5e-3;
        case Encoding::Lattice4:
            return 5e-2;
        default:
            return 1e-5;
    }
}

class ExchangeIn : public testing::TestWithParam<Encoding> {};

TEST_P(ExchangeIn, ContractsTheVarianceAndKeepsTheMean) {
    for (std::uint64_t seed = 0; seed < 3; ++seed) {
        SCOPED_TRACE(testing::Message() << to_string(GetParam()) << " seed " << seed);
        FloatSwarm swarm(8, kSizes, seed, with(GetParam()));
        Rng rng(seed + 7);
        scatter(swarm, 0.01, rng);
        const auto before = means(swarm);
        const double first = variance(swarm);
        for (int i = 0; i < 120; ++i) {
            swarm.now += std::chrono::seconds(20);
            swarm.at(static_cast<std::size_t>(rng.below(8))).begin_exchange(swarm.now);
            swarm.finish_exchanges();
        }
        const auto after = means(swarm);
        double moved = 0.0;
        for (std::size_t i = 0; i < before.size(); ++i) {
            moved = std::max(moved, std::fabs(after[i] - before[i]));
        }
        EXPECT_LT(moved, 4e-6) << "120 exchanges, each of two roundings of values up to 4";
        EXPECT_LT(variance(swarm), first * left_after_120(GetParam()));
        std::uint64_t committed = 0;
        for (auto& node : swarm.nodes) {
            committed += node.averager->counters().committed;
            EXPECT_EQ(node.averager->counters().aborted, 0U);
            EXPECT_EQ(node.averager->counters().half_applied_chunks, 0U);
        }
        EXPECT_EQ(committed, 240U);
    }
}

TEST_P(ExchangeIn, LockedChunksAreServedLater) {
    for (std::size_t who : {0U, 1U}) {
        FloatSwarm swarm(2, kSizes, 1, with(GetParam()));
        Rng rng(1);
        scatter(swarm, 0.01, rng);
        for (int round = 0; round < 3; ++round) {
            swarm.nodes[who].vector->decline_reads = 5;
            swarm.nodes[who].vector->decline_adds = 5;
            ASSERT_TRUE(swarm.at(0).begin_exchange(swarm.now));
            swarm.finish_exchanges();
        }
        EXPECT_EQ(swarm.at(0).counters().committed, 3U);
        EXPECT_EQ(swarm.at(1).counters().committed, 3U);
    }
}

TEST_P(ExchangeIn, NotANumberIsNeverApplied) {
    for (const std::size_t sick : {0U, 1U}) {
        FloatSwarm swarm(2, kSizes, 1, with(GetParam()));
        Rng rng(1);
        scatter(swarm, 0.01, rng);
        ASSERT_TRUE(swarm.at(0).begin_exchange(swarm.now));
        swarm.finish_exchanges();
        ASSERT_EQ(swarm.at(0).counters().committed, 1U);
        swarm.nodes[sick].vector->chunks[0][4321] = std::nanf("");
        swarm.now += std::chrono::seconds(20);
        ASSERT_TRUE(swarm.at(0).begin_exchange(swarm.now));
        swarm.finish_exchanges();
        for (const float value : swarm.nodes[1 - sick].vector->chunks[0]) {
            ASSERT_TRUE(std::isfinite(value));
        }
        EXPECT_EQ(swarm.nodes[0].events.back().outcome, Outcome::Violated);
    }
}

INSTANTIATE_TEST_SUITE_P(
    EachEncoding,
    ExchangeIn,
    testing::Values(Encoding::F32, Encoding::Bf16, Encoding::Lattice8, Encoding::Lattice4),
    [](const auto& tested) { return std::string(to_string(tested.param)); }
);

class LatticeExchange : public testing::TestWithParam<Encoding> {};

TEST_P(LatticeExchange, SecondMeetingTravelsInCodes) {
    FloatSwarm swarm(2, kSizes, 1, with(GetParam()));
    Rng rng(1);
    scatter(swarm, 0.01, rng);
    swarm.at(0).begin_exchange(swarm.now);
    swarm.finish_exchanges();
    const auto first = swarm.nodes[0].events.back().bytes;
    swarm.at(1).begin_exchange(swarm.now);
    swarm.finish_exchanges();
    const auto second = swarm.nodes[0].events.back().bytes;
    const std::uint64_t parameters = 5000 + 64 + 1 + 4096;
    EXPECT_EQ(first, 2 * (2 * parameters + 4 * 8));
    EXPECT_LT(second, parameters * (GetParam() == Encoding::Lattice8 ? 2 : 1) + 300);
    EXPECT_EQ(swarm.at(0).counters().asked_again + swarm.at(1).counters().asked_again, 0U);
}

TEST_P(LatticeExchange, SuddenGapIsAskedForAgainAndMixedAllTheSame) {
    for (const std::size_t who : {0U, 1U}) {
        SCOPED_TRACE(testing::Message() << "peer " << who << " jumps");
        FloatSwarm swarm(2, kSizes, 1, with(GetParam()));
        Rng rng(1);
        scatter(swarm, 0.01, rng);
        swarm.at(0).begin_exchange(swarm.now);
        swarm.finish_exchanges();
        swarm.nodes[who].vector->chunks[0][17] += 50.0F;
        swarm.nodes[who].vector->chunks[3][99] -= 50.0F;
        const auto before = means(swarm);
        swarm.at(0).begin_exchange(swarm.now);
        swarm.finish_exchanges();
        EXPECT_EQ(swarm.at(0).counters().committed, 2U);
        EXPECT_EQ(swarm.at(1).counters().committed, 2U);
        EXPECT_EQ(swarm.at(1).counters().asked_again, 2U) << "two chunks";
        const auto after = means(swarm);
        for (std::size_t i = 0; i < after.size(); ++i) ASSERT_NEAR(after[i], before[i], 1e-5);
        const auto& a = swarm.nodes[0].vector->chunks[0];
        const auto& b = swarm.nodes[1].vector->chunks[0];
        EXPECT_NEAR(a[17], b[17], 0.5F);
        EXPECT_NEAR(a[17], before[17], 0.3);
    }
}

TEST_P(LatticeExchange, RepeatedFramesChangeNothingAlsoAroundAChunkThatComesAgain) {
    const auto prepare = [](FloatSwarm& swarm) {
        Rng rng(1);
        scatter(swarm, 0.01, rng);
        swarm.at(0).begin_exchange(swarm.now);
        swarm.finish_exchanges();
        swarm.nodes[1].vector->chunks[0][17] += 50.0F;
        swarm.history.clear();
        swarm.at(0).begin_exchange(swarm.now);
    };
    FloatSwarm probe(2, kSizes, 1, with(GetParam()));
    prepare(probe);
    probe.finish_exchanges();
    const auto frames = probe.history.size();
    ASSERT_GT(frames, 12U);
    for (std::size_t repeated = 0; repeated < frames; ++repeated) {
        for (std::size_t later = repeated; later < frames; ++later) {
            SCOPED_TRACE(testing::Message() << "frame " << repeated << " again after " << later);
            FloatSwarm swarm(2, kSizes, 1, with(GetParam()));
            prepare(swarm);
            std::size_t delivered = 0;
            while (swarm.deliver()) {
                if (delivered++ == later) swarm.hand_over(swarm.history[repeated]);
            }
            ASSERT_EQ(swarm.nodes[0].vector->chunks, probe.nodes[0].vector->chunks);
            ASSERT_EQ(swarm.nodes[1].vector->chunks, probe.nodes[1].vector->chunks);
            ASSERT_EQ(swarm.at(0).counters().committed, 2U);
            ASSERT_EQ(swarm.at(1).counters().committed, 2U);
        }
    }
}

TEST_P(LatticeExchange, CutAtEveryFrameIsInTheLedger) {
    for (int frames = 0;; ++frames) {
        SCOPED_TRACE(testing::Message() << "cut after frame " << frames);
        FloatSwarm swarm(2, kSizes, 1, with(GetParam()));
        Rng rng(1);
        scatter(swarm, 0.01, rng);
        swarm.at(0).begin_exchange(swarm.now);
        swarm.finish_exchanges();
        swarm.nodes[1].vector->chunks[0][17] += 50.0F;
        const auto before = means(swarm);
        swarm.at(0).begin_exchange(swarm.now);
        int delivered = 0;
        while (delivered < frames && swarm.deliver()) ++delivered;
        swarm.cut(0, 1);
        swarm.finish_exchanges();
        std::size_t moved = 0;
        const auto after = means(swarm);
        std::size_t at = 0;
        for (const auto size : kSizes) {
            bool here = false;
            for (std::size_t i = 0; i < size; ++i, ++at) {
                here = here || std::fabs(after[at] - before[at]) > 2e-5;
            }
            moved += here ? 1 : 0;
        }
        EXPECT_LE(moved, swarm.at(1).counters().half_applied_chunks);
        EXPECT_FALSE(swarm.at(0).initiating() || swarm.at(1).responding());
        if (delivered < frames) break;
    }
}

INSTANTIATE_TEST_SUITE_P(
    EachLattice,
    LatticeExchange,
    testing::Values(Encoding::Lattice8, Encoding::Lattice4),
    [](const auto& tested) { return std::string(to_string(tested.param)); }
);

TEST(ExchangeEncoding, FinerWishOfEitherSideHolds) {
    FloatSwarm swarm(2, kSizes, 1, with(Encoding::Lattice4));
    Rng rng(1);
    scatter(swarm, 0.01, rng);
    for (const std::size_t settling : {0U, 1U}) {
        swarm.at(settling).set_encoding(Encoding::F32);
        swarm.at(0).begin_exchange(swarm.now);
        swarm.finish_exchanges();
        EXPECT_EQ(swarm.nodes[0].events.back().bytes, 2U * 4U * (5000 + 64 + 1 + 4096));
        swarm.at(settling).set_encoding(Encoding::Lattice4);
    }
    EXPECT_EQ(swarm.at(1).counters().committed, 2U);
}

TEST(ExchangeEncoding, CoarserAnswerThanAskedForIsAViolation) {
    FloatSwarm swarm(2, kSizes, 1, with(Encoding::F32));
    ASSERT_TRUE(swarm.at(0).begin_exchange(swarm.now));
    swarm.drain();
    const auto open = decode(swarm.wire.front().frame);
    swarm.wire.clear();
    const auto id = std::get<Open>(*open).id;
    swarm.hand_over({peer_id(2), peer_id(1), encode(Accept{id, Encoding::Lattice4})});
    EXPECT_EQ(swarm.nodes[0].events.back().outcome, Outcome::Violated);
}

}  // namespace
}  // namespace starling::gossip
