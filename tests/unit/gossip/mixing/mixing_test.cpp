// Goal: each mixing rule keeps its own invariant, brings the peers together, and the rules agree
// where their equations do. Method: averagers over wires in memory on floats, sums in double.

#include <array>

#include "gossip/codec.hpp"
#include "tests/unit/gossip/support/rule_swarm.hpp"

namespace starling::gossip {
namespace {

const std::vector<std::size_t> kSizes{5000, 64, 1, 4096};

class NolocoIn : public testing::TestWithParam<Encoding> {};

TEST_P(NolocoIn, WithoutMomentumAndWithUnitWeightsIsPairwiseAveragingBitForBit) {
    for (const std::uint64_t seed : {1U, 2U}) {
        SCOPED_TRACE(testing::Message() << to_string(GetParam()) << " seed " << seed);
        const auto run = [&](std::string_view mix) {
            // One chunk at a time, so that both runs have the same frames in the same order.
            auto config = config_of(mix, GetParam());
            config.window_bytes = 1;
            FloatSwarm swarm(4, kSizes, seed, config);
            Rng rng(seed);
            scatter(swarm, rng, 0.01);
            isolate(swarm);
            for (int round = 0; round < 12; ++round) {
                local_step(swarm, rng, 1e-3);
                // Two exchanges that share a peer, delivered in a mixed order.
                const auto a = static_cast<std::size_t>(rng.below(4));
                const auto b = (a + 1) % 4;
                EXPECT_TRUE(ask(swarm, a, b) && ask(swarm, b, (a + 2) % 4));
                while (swarm.deliver_loose(rng)) {
                }
                swarm.finish_exchanges();
                isolate(swarm);
                swarm.drain();
            }
            std::vector<std::vector<std::vector<float>>> all;
            std::uint64_t committed = 0;
            for (auto& node : swarm.nodes) {
                EXPECT_EQ(node.averager->counters().aborted, 0U);
                committed += node.averager->counters().committed;
                all.push_back(node.vector->chunks);
            }
            EXPECT_EQ(committed, 48U);
            return all;
        };
        // Who asks whom is drawn from the same seed in both runs.
        const auto noloco = run("noloco?alpha=0&beta=1&gamma=1");
        const auto pairwise = run("pairwise");
        EXPECT_TRUE(noloco == pairwise);
    }
}

INSTANTIATE_TEST_SUITE_P(
    Encodings,
    NolocoIn,
    // A lattice may ask for a chunk again because of the slow weights alone.
    testing::Values(Encoding::F32, Encoding::Bf16),
    [](const auto& tested) { return std::string(to_string(tested.param)); }
);

/// Mean factor of the variance per round of a random perfect matching, over the last rounds.
double mixing_factor(std::string_view mix, std::uint64_t seed) {
    constexpr std::size_t kPeers = 16;
    constexpr int kRounds = 30;
    FloatSwarm swarm(kPeers, {2000}, seed, config_of(mix));
    Rng rng(seed);
    scatter(swarm, rng);
    for (auto& node : swarm.nodes) node.averager->adopt_parameters();
    isolate(swarm);
    std::array<std::size_t, kPeers> order{};
    for (std::size_t i = 0; i < kPeers; ++i) order[i] = i;
    const double first = variance(swarm);
    for (int round = 0; round < kRounds; ++round) {
        rng.shuffle(std::span<std::size_t>(order));
        for (std::size_t i = 0; i < kPeers; i += 2) meet(swarm, order[i], order[i + 1]);
    }
    return std::pow(variance(swarm) / first, 1.0 / kRounds);
}

TEST(Noloco, GammaWithinItsBoundsContractsAndTheUpperBoundIsReal) {
    // Own numbers of the rule's card, for 16 peers: 0.65, 0.66, 0.77, 0.93 at alpha 1/2.
    EXPECT_NEAR(mixing_factor("noloco?alpha=0&beta=1&gamma=1", 1), 0.45, 0.06);
    EXPECT_NEAR(mixing_factor("noloco?alpha=0.5&beta=0.7&gamma=0.5", 1), 0.65, 0.06);
    EXPECT_NEAR(mixing_factor("noloco?alpha=0.5&beta=0.7&gamma=0.7", 1), 0.66, 0.06);
    EXPECT_NEAR(mixing_factor("noloco?alpha=0.5&beta=0.7&gamma=1.0", 1), 0.77, 0.06);
    EXPECT_NEAR(mixing_factor("noloco?alpha=0.5&beta=0.7&gamma=1.4", 1), 0.93, 0.06);
    EXPECT_FALSE(Mix::parse("noloco?alpha=0.5&gamma=1.6").has_value());
}

TEST(Noloco, OuterStepFollowsTheEquations) {
    FloatSwarm swarm(2, {3}, 1, config_of("noloco?alpha=0.5&beta=0.75&gamma=0.5"));
    isolate(swarm);
    swarm.nodes[0].vector->chunks[0] = {0.0F, 8.0F, -4.0F};
    swarm.nodes[1].vector->chunks[0] = {16.0F, 8.0F, 4.0F};
    for (auto& node : swarm.nodes) node.averager->adopt_parameters();
    std::array<double, 2> phi{};
    std::array<double, 2> theta{};
    std::array<double, 2> delta{};
    for (std::size_t i = 0; i < 2; ++i) {
        phi[i] = double{swarm.nodes[i].vector->chunks[0][0]};
    }
    for (int round = 0; round < 3; ++round) {
        swarm.nodes[0].vector->chunks[0][0] += 1.0F;
        swarm.nodes[1].vector->chunks[0][0] += 0.5F;
        for (std::size_t i = 0; i < 2; ++i) {
            theta[i] = double{swarm.nodes[i].vector->chunks[0][0]};
        }
        meet(swarm, 0, 1);
        const double progress = (theta[0] - phi[0] + theta[1] - phi[1]) / 2.0;
        const double middle = (phi[0] + phi[1]) / 2.0;
        for (std::size_t i = 0; i < 2; ++i) {
            delta[i] = 0.5 * delta[i] + 0.75 * progress - 0.5 * (phi[i] - middle);
            phi[i] += delta[i];
            EXPECT_NEAR(double{swarm.nodes[i].vector->chunks[0][0]}, phi[i], 1e-5);
        }
    }
}

class PushSumIn : public testing::TestWithParam<Encoding> {};

TEST_P(PushSumIn, MassIsKeptAndAllMeetAtTheMean) {
    for (const std::uint64_t seed : {1U, 2U, 3U}) {
        SCOPED_TRACE(testing::Message() << to_string(GetParam()) << " seed " << seed);
        FloatSwarm swarm(8, kSizes, seed, config_of("push-sum", GetParam()));
        Rng rng(seed);
        scatter(swarm, rng, 0.01);
        const auto before = mass(swarm);
        const double first = variance(swarm);
        for (int i = 0; i < 200; ++i) {
            swarm.now += std::chrono::seconds(20);
            for (int asks = 0; asks < 3; ++asks) {
                (void)swarm.at(static_cast<std::size_t>(rng.below(8))).begin_exchange(swarm.now);
            }
            if (rng.chance(0.3)) swarm.nodes[0].vector->decline_adds = 3;
            if (rng.chance(0.3)) swarm.nodes[1].vector->decline_reads = 3;
            while (swarm.deliver_loose(rng)) {
            }
            swarm.finish_exchanges();
        }
        EXPECT_NEAR(weights(swarm), 8.0, 1e-12);
        EXPECT_LT(largest_difference(mass(swarm), before), 2e-5);
        // The rounding of bf16 stays: a hundredth of 2^-8, squared.
        EXPECT_LT(variance(swarm), first * (GetParam() == Encoding::F32 ? 1e-9 : 1e-2));
        for (auto& node : swarm.nodes) {
            EXPECT_EQ(node.averager->counters().aborted, 0U);
            EXPECT_EQ(node.averager->counters().half_applied_chunks, 0U);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(
    Encodings,
    PushSumIn,
    testing::Values(Encoding::F32, Encoding::Bf16),
    [](const auto& tested) { return std::string(to_string(tested.param)); }
);

TEST(PushSum, WhatWasNotAcknowledgedComesBack) {
    // Cut at every frame. Before the responder has applied, mass is exactly what it was; where only
    // the acknowledgement was lost, the ledger says how many chunks exist twice.
    std::size_t doubled_ever = 0;
    std::size_t returned_ever = 0;
    for (int frames = 0; frames < 12; ++frames) {
        for (const int declined : {0, 3}) {
            SCOPED_TRACE(testing::Message() << "cut after " << frames);
            auto config = config_of("push-sum");
            config.window_bytes = 2 * 17000;
            FloatSwarm swarm(2, kSizes, 1, config);
            Rng rng(1);
            scatter(swarm, rng);
            const auto before = mass(swarm);
            ASSERT_TRUE(swarm.at(0).begin_exchange(swarm.now));
            for (int i = 0; i < frames; ++i) swarm.deliver();
            if (!swarm.at(0).initiating()) break;
            swarm.nodes[0].vector->decline_adds = declined;
            swarm.cut(0, 1);
            returned_ever += swarm.at(0).returning() ? 1U : 0U;
            EXPECT_TRUE(!swarm.at(0).returning() || swarm.at(0).poll_timeout().has_value());
            swarm.finish_exchanges();
            EXPECT_FALSE(swarm.at(0).returning());
            const auto doubled = swarm.at(1).counters().half_applied_chunks;
            std::size_t heavier = 0;
            for (std::size_t chunk = 0; chunk < kSizes.size(); ++chunk) {
                const double sum = weights(swarm, chunk);
                EXPECT_TRUE(sum == 2.0 || sum == 2.5) << sum;
                heavier += sum > 2.0 ? 1U : 0U;
            }
            EXPECT_LE(heavier, doubled);
            doubled_ever += heavier;
            if (heavier == 0) {
                EXPECT_LT(largest_difference(mass(swarm), before), 1e-5);
            }
        }
    }
    EXPECT_GT(doubled_ever, 0U) << "no cut hit an acknowledgement";
    EXPECT_GT(returned_ever, 0U) << "no return met a locked chunk";
}

TEST(PushSum, WhoeverHasGivenAlmostAllWaitsUntilItReceives) {
    FloatSwarm swarm(2, {8}, 1, config_of("push-sum"));
    isolate(swarm);
    int given = 0;
    while (ask(swarm, 0, 1)) {
        swarm.finish_exchanges();
        ASSERT_LT(++given, 20);
    }
    EXPECT_EQ(given, 11) << "until its weight is below 1/1024";
    meet(swarm, 1, 0);
    EXPECT_TRUE(ask(swarm, 0, 1));
}

TEST(PushSum, WeightsThatLostAcknowledgementsDoubleStayBounded) {
    FloatSwarm swarm(2, {8}, 1, config_of("push-sum"));
    isolate(swarm);
    double largest = 0.0;
    for (int i = 0; i < 100; ++i) {
        ASSERT_TRUE(ask(swarm, 0, 1));
        // Open, Accept, the chunk; its acknowledgement is lost with the stream.
        for (int frame = 0; frame < 3; ++frame) swarm.deliver();
        swarm.drain();
        swarm.wire.clear();
        swarm.at(0).handle_disconnect(swarm.now, swarm.nodes[1].id);
        swarm.at(1).handle_disconnect(swarm.now, swarm.nodes[0].id);
        swarm.finish_exchanges();
        meet(swarm, 1, 0);
        largest = std::max({largest, swarm.at(0).weight(0), swarm.at(1).weight(0)});
    }
    EXPECT_EQ(largest, 1024.0);
    // A peer with the largest weight is not accused of having it.
    meet(swarm, 0, 1);
    meet(swarm, 1, 0);
}

TEST(PushSum, MassThatNobodyCanHaveIsRefused) {
    for (const double lie : {0.0, -1.0, 513.0, 1e7, std::nan(""), HUGE_VAL}) {
        FloatSwarm swarm(2, {4}, 1, config_of("push-sum"));
        ASSERT_TRUE(swarm.at(0).begin_exchange(swarm.now));
        swarm.deliver();  // Open
        swarm.deliver();  // Accept
        swarm.drain();
        ASSERT_EQ(swarm.wire.size(), 1U);
        std::memcpy(swarm.wire.front().frame.data() + kPayloadOffset, &lie, sizeof(lie));
        swarm.finish_exchanges();
        EXPECT_EQ(swarm.nodes[1].events.back().outcome, Outcome::Violated) << lie;
        EXPECT_EQ(swarm.at(1).weight(0), 1.0);
        EXPECT_EQ(swarm.at(0).weight(0), 1.0) << "what was refused comes back";
    }
}

struct Shared {
    const char* mix;
    Encoding encoding;
};

class ShareOf : public testing::TestWithParam<Shared> {};

TEST_P(ShareOf, EachPartTravelsInItsTurnAndAllMeet) {
    constexpr std::uint32_t kParts = 20;
    auto config = config_of(GetParam().mix, GetParam().encoding);
    config.parts = kParts;
    FloatSwarm swarm(2, {65536, 700, 3}, 1, config);
    Rng rng(1);
    // Near each other from the start, as trained peers are: a lattice needs it.
    scatter(swarm, rng);
    swarm.nodes[1].vector->chunks = swarm.nodes[0].vector->chunks;
    local_step(swarm, rng, 0.01);
    isolate(swarm);
    for (auto& node : swarm.nodes) node.averager->adopt_parameters();
    const auto before = swarm.nodes[0].vector->chunks;
    const double first = variance(swarm);
    meet(swarm, 0, 1);
    const auto& one = swarm.nodes[0].events.back();
    EXPECT_EQ(one.outcome, Outcome::Committed);
    EXPECT_LT(one.bytes, 66239U * 16 / kParts + 4000);
    if (std::string_view(GetParam().mix) != "push-sum") {
        std::size_t moved = 0;
        for (std::size_t i = 0; i < 65536; ++i) {
            moved += swarm.nodes[0].vector->chunks[0][i] != before[0][i] ? 1U : 0U;
        }
        // An encoding may see no difference in some.
        EXPECT_LE(moved, 65536U / kParts + 1);
        EXPECT_GE(moved, 65536U / kParts * 4 / 5);
    }
    for (std::uint32_t i = 1; i < 4 * kParts; ++i) meet(swarm, i % 2, 1 - i % 2);
    EXPECT_LT(variance(swarm), 0.15 * first);
    EXPECT_EQ(swarm.at(0).counters().aborted, 0U);
}

INSTANTIATE_TEST_SUITE_P(
    Rules,
    ShareOf,
    testing::Values(
        Shared{"pairwise", Encoding::F32},
        Shared{"pairwise", Encoding::Bf16},
        Shared{"pairwise", Encoding::Lattice8},
        Shared{"pairwise", Encoding::Lattice4},
        Shared{"push-sum", Encoding::F32},
        Shared{"noloco?alpha=0.3&beta=0.7&gamma=0.7", Encoding::F32},
        Shared{"noloco?alpha=0.3&beta=0.7&gamma=0.7", Encoding::Lattice8}
    )
);

TEST(Rules, OneThatThePartnerDoesNotFollowIsRefusedBeforeAnyPayload) {
    FloatSwarm swarm(2, {8}, 1, config_of("pairwise"));
    swarm.nodes[1].averager = std::make_unique<Averager>(
        config_of("push-sum"), peer_id(2), layout_hash(1), *swarm.nodes[1].vector, Rng(1)
    );
    ASSERT_TRUE(swarm.at(0).begin_exchange(swarm.now));
    swarm.finish_exchanges();
    EXPECT_EQ(swarm.nodes[0].events.back().outcome, Outcome::Refused);
    EXPECT_EQ(swarm.at(0).counters().payload_bytes, 0U);
}

/// Two peers with a few local steps between exchanges. With `old` the answers are those of minor
/// version 0. Returns the values of both, and how many bytes travelled.
std::pair<std::vector<std::vector<std::vector<float>>>, std::uint64_t> train_two(
    const std::string& mix, Encoding encoding, bool old
) {
    FloatSwarm swarm(2, {3000, 40}, 5, config_of(mix, encoding));
    Rng rng(5);
    scatter(swarm, rng);
    for (std::size_t i = 0; i < 6; ++i) {
        for (auto& node : swarm.nodes) {
            for (auto& value : node.vector->chunks[0]) value *= 0.99F;
        }
        swarm.now += std::chrono::seconds(5);
        EXPECT_TRUE(swarm.at(i % 2).begin_exchange(swarm.now));
        swarm.drain();
        while (!swarm.wire.empty()) {
            auto& frame = swarm.wire.front().frame;
            constexpr std::byte kAccept{2};
            if (frame[0] == kAccept) {
                // Without samples in both, because they change scales.
                frame[1] = old ? std::byte{0x10} : std::byte{0x12};
                frame[2] = old ? std::byte{17} : std::byte{28};
                frame.resize(old ? 21 : 32);
            }
            if (!swarm.deliver()) break;
        }
        EXPECT_EQ(swarm.nodes[0].events.back().outcome, Outcome::Committed);
    }
    return {
        {swarm.nodes[0].vector->chunks, swarm.nodes[1].vector->chunks},
        swarm.at(0).counters().payload_bytes};
}

TEST(Noloco, SlowWeightsTravelOnlyWhereTheyCount) {
    for (const auto encoding : {Encoding::F32, Encoding::Bf16, Encoding::Lattice8}) {
        const auto pairwise = train_two("pairwise", encoding, false).second;
        const auto [now, bytes] = train_two("noloco", encoding, false);
        const auto [before, more] = train_two("noloco", encoding, true);
        // Each offer and each answer has a head of 8 bytes.
        EXPECT_EQ(bytes, pairwise + 6 * 2 * 2 * 8);
        EXPECT_EQ(more + 6 * 2 * 2 * 8, 2 * bytes);
        EXPECT_TRUE(now == before) << "bit for bit";
        EXPECT_EQ(train_two("noloco?gamma=0.6", encoding, false).second, more);
    }
}

TEST(Rules, NoneNeverMixes) {
    FloatSwarm swarm(2, {8}, 1, config_of("none"));
    EXPECT_FALSE(swarm.at(0).begin_exchange(swarm.now));
    EXPECT_FALSE(swarm.at(0).begin_round(swarm.now, 3));
}

TEST(Rules, TextReadsBackAsTheSameRule) {
    for (const char* text :
         {"pairwise", "push-sum", "none", "noloco", "noloco?h=50&alpha=0.1&beta=1&gamma=0.25"}) {
        const auto mix = Mix::parse(text);
        ASSERT_TRUE(mix.has_value()) << text;
        const auto again = Mix::parse(mix->to_string());
        ASSERT_TRUE(again.has_value()) << mix->to_string();
        EXPECT_EQ(again->to_string(), mix->to_string());
        EXPECT_EQ(again->alpha, mix->alpha);
        EXPECT_EQ(again->steps, mix->steps);
    }
    for (const char* text : {"", "sum", "pairwise?h=1", "noloco?h=-1", "noloco?eta=1", "none:x"}) {
        EXPECT_FALSE(Mix::parse(text).has_value()) << text;
    }
    EXPECT_EQ(*parse_share("5%"), 20U);
    EXPECT_EQ(*parse_share("0.05"), 20U);
    EXPECT_EQ(*parse_share("100%"), 1U);
    for (const char* text : {"", "0", "5", "-5%", "nan", "5%%", "101%"}) {
        EXPECT_FALSE(parse_share(text).has_value()) << text;
    }
}

}  // namespace
}  // namespace starling::gossip
