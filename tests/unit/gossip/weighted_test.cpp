// Goal: a weighted pair keeps the weighted sum exactly, equal weights give what they always gave, the
// shares that one peer goes at a time add up to at most 1, and no claim moves more than the bounds
// allow. Method: each encoding against its own even pairs; integers over random weights and orders of
// delivery; hand-made frames of a partner that lies.

#include <cmath>
#include <numeric>

#include "gossip/codec.hpp"
#include "gossip/encoding/registry.hpp"
#include "tests/unit/gossip/support/meeting.hpp"
#include "tests/unit/gossip/support/rule_swarm.hpp"

namespace starling::gossip {
namespace {

using namespace std::chrono_literals;

std::vector<float> draws(std::size_t count, Rng& rng) {
    std::vector<float> values(count);
    for (auto& value : values) value = static_cast<float>(rng.normal());
    return values;
}

TEST(WeightedPair, BothSidesOfEachEncodingGoByExactMultiples) {
    Rng rng(3);
    for (const auto which :
         {Encoding::F32, Encoding::Bf16, Encoding::Lattice8, Encoding::Lattice4}) {
        const auto& encoding = *find_encoding(which);
        auto a = draws(5000, rng);
        auto b = a;
        for (auto& value : b) value += static_cast<float>(0.01 * (rng.uniform() - 0.5));
        const std::vector<float> gaps(2, 0.005F);
        const auto even = meet(encoding, a, b, gaps);
        for (const int k : {-7, -1, 0, 1, 3, 7, 16}) {
            SCOPED_TRACE(testing::Message() << to_string(which) << " lighter by " << k);
            const auto met = meet(encoding, a, b, gaps, 0.5, Tilt::lighter_by(k));
            ASSERT_FALSE(met.wrapped);
            const float ratio = std::ldexp(1.0F, k);
            const double share = share_of(0.5, Tilt::lighter_by(k));
            for (std::size_t i = 0; i < a.size(); ++i) {
                ASSERT_EQ(met.for_initiator[i], -ratio * met.for_responder[i]);
                ASSERT_NEAR(
                    met.for_initiator[i], 2.0 * share * even.for_initiator[i], 1e-6 * share
                );
                ASSERT_TRUE(k != 0 || met.for_initiator[i] == even.for_initiator[i]);
            }
            EXPECT_NEAR(
                met.initiator.squared_distance,
                even.initiator.squared_distance,
                1e-4 * even.initiator.squared_distance
            ) << "the distance is that of the whole difference";
        }
    }
}

TEST(WeightedPair, DifferencesThatOverflowAreRefusedOnBothSides) {
    const std::vector<float> huge(4, 3e38F);
    const std::vector<float> low(4, -3e38F);
    const auto& floats = *find_encoding(Encoding::F32);
    EXPECT_FALSE(meet(floats, huge, low, {}, 0.5, Tilt::lighter_by(7)).responder.finite);
    EXPECT_FALSE(meet(floats, huge, low, {}, 0.5, Tilt::lighter_by(-7)).responder.finite);
    const auto& integers = *find_encoding(Encoding::Exact64);
    const std::vector<std::int64_t> most{INT64_MAX, INT64_MAX / 2};
    const std::vector<std::int64_t> least{INT64_MIN, -(INT64_MAX / 2)};
    std::vector<std::int64_t> delta(2);
    auto wire = least;
    Reply reply{room(wire)};
    const Share share{0.5, room(delta), {}, Tilt::lighter_by(16)};
    EXPECT_FALSE(integers.answer(view(most), view(wire), reply, share).finite);
    // The second difference fits, and so does nearly all of it.
    EXPECT_NEAR(static_cast<double>(delta[1]), 0x1p63 * 65536.0 / 65537.0, 0x1p50);
}

/// Σ 2^weight x of each element, as integers.
std::vector<std::int64_t> weighted_sums(
    const IntegerSwarm& swarm, const std::vector<int>& weights
) {
    std::vector<std::int64_t> sums(swarm.nodes[0].vector->chunks[0].size(), 0);
    for (std::size_t n = 0; n < swarm.nodes.size(); ++n) {
        const auto& values = swarm.nodes[n].vector->chunks[0];
        for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += values[i] << weights[n];
    }
    return sums;
}

TEST(WeightedSwarm, WeightedSumIsKeptExactlyAndSharesNeverExceedOne) {
    std::size_t overlaps = 0;
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        Rng rng(seed);
        IntegerSwarm swarm(6, {40, 40}, seed);
        randomize(swarm, rng);
        std::vector<int> weights;
        for (std::size_t i = 0; i < swarm.nodes.size(); ++i) {
            weights.push_back(static_cast<int>(rng.below(8)));
            swarm.at(i).set_weight(static_cast<std::int8_t>(weights[i] - 3));
        }
        const auto before = weighted_sums(swarm, weights);
        for (int turn = 0; turn < 3000; ++turn) {
            if (rng.chance(0.1)) (void)swarm.at(rng.below(6)).begin_exchange(swarm.now);
            if (!swarm.deliver_any(rng)) swarm.now += 1s;
            for (auto& node : swarm.nodes) {
                ASSERT_GE(node.averager->share_left(), -1e-9) << "seed " << seed;
                if (node.averager->initiating() && node.averager->responding()) ++overlaps;
            }
        }
        swarm.finish_exchanges();
        EXPECT_EQ(weighted_sums(swarm, weights), before) << "seed " << seed;
        std::int64_t spread = 0;
        for (const auto& one : swarm.nodes) {
            for (const auto& other : swarm.nodes) {
                for (std::size_t i = 0; i < 40; ++i) {
                    const auto gap = one.vector->chunks[0][i] - other.vector->chunks[0][i];
                    spread = std::max(spread, std::abs(gap));
                }
            }
            EXPECT_EQ(one.averager->counters().weights_clipped, 0U);
            EXPECT_EQ(one.averager->counters().aborted, 0U);
        }
        // Truncation stops a pair within 1 + 2^7.
        EXPECT_LE(spread, 1000) << "seed " << seed << ": all meet";
    }
    EXPECT_GT(overlaps, 1000U) << "the test must exercise overlapping exchanges";
}

TEST(WeightedSwarm, TheLightGoesNearlyAllTheWayAndTheHeavyHardlyMoves) {
    for (const std::size_t asks : {0U, 1U}) {
        FloatSwarm swarm(2, {1}, 1, config_of("pairwise"));
        isolate(swarm);
        swarm.at(0).set_weight(7);
        swarm.at(1).set_weight(0);
        for (const bool first : {true, false}) {
            swarm.nodes[0].vector->chunks[0][0] = 0.0F;
            swarm.nodes[1].vector->chunks[0][0] = 1.29F;
            meet(swarm, asks, 1 - asks);
            // Before they have met, who asks promises no more than half of the way.
            const double light = first && asks == 1 ? 0.5 : 128.0 / 129.0;
            EXPECT_NEAR(swarm.nodes[1].vector->chunks[0][0], 1.29 * (1.0 - light), 1e-5);
            EXPECT_NEAR(swarm.nodes[0].vector->chunks[0][0], 1.29 * light / 128.0, 1e-6);
        }
        EXPECT_EQ(swarm.at(0).counters().weight_changes, 1U);
    }
}

/// Two heavy peers at 0 and a light one at 1 that is in exchanges with both at once, four times.
/// Returns where the light one stands.
float between_two(std::int8_t heavy, float& lowest) {
    FloatSwarm swarm(3, {1}, 1, config_of("pairwise"));
    isolate(swarm);
    for (const std::size_t i : {0U, 2U}) swarm.at(i).set_weight(heavy);
    swarm.at(1).set_weight(0);
    for (const std::size_t i : {0U, 2U}) meet(swarm, i, 1);
    const auto& place = swarm.nodes[1].vector->chunks[0][0];
    for (auto& node : swarm.nodes) node.vector->chunks[0][0] = 0.0F;
    swarm.nodes[1].vector->chunks[0][0] = 1.0F;
    lowest = 1.0F;
    for (int round = 0; round < 4; ++round) {
        swarm.now += 10s;
        (void)ask(swarm, 0, 1);
        (void)ask(swarm, 1, 2);
        // All requests arrive before any chunk.
        swarm.finish_exchanges();
        lowest = std::min(lowest, place);
        for (const std::size_t i : {0U, 2U}) swarm.nodes[i].vector->chunks[0][0] = 0.0F;
        isolate(swarm);
    }
    return place;
}

TEST(WeightedSwarm, TwoHeavyPartnersDoNotMirrorALightPeer) {
    float lowest = 0.0F;
    EXPECT_LE(std::fabs(between_two(7, lowest)), 0.05F);
    EXPECT_GE(lowest, -0.01F) << "never beyond both partners";
    // Today's even pairs may meet at the same time.
    EXPECT_LE(std::fabs(between_two(0, lowest)), 0.5F);
    EXPECT_GE(lowest, -1e-6F);
}

TEST(WeightedSwarm, EqualWeightsGiveTheBitsOfNone) {
    for (const auto encoding : {Encoding::F32, Encoding::Bf16, Encoding::Lattice8}) {
        std::vector<std::vector<std::vector<float>>> ends;
        for (const bool weighted : {false, true}) {
            FloatSwarm swarm(5, {3000, 70}, 9, config_of("pairwise", encoding));
            Rng rng(9);
            scatter(swarm, rng);
            for (auto& node : swarm.nodes) {
                if (weighted) node.averager->set_weight(11);
            }
            for (int turn = 0; turn < 4000; ++turn) {
                if (rng.chance(0.1)) (void)swarm.at(rng.below(5)).begin_exchange(swarm.now);
                if (!swarm.deliver_any(rng)) swarm.now += 1s;
            }
            swarm.finish_exchanges();
            auto& end = ends.emplace_back();
            for (auto& node : swarm.nodes) {
                for (auto& chunk : node.vector->chunks) end.push_back(chunk);
            }
        }
        EXPECT_EQ(ends[0], ends[1]) << to_string(encoding);
    }
}

TEST(WeightedSwarm, OtherRulesIgnoreWeights) {
    for (const char* mix : {"push-sum", "noloco"}) {
        std::vector<std::vector<float>> ends;
        for (const bool weighted : {false, true}) {
            FloatSwarm swarm(2, {300}, 9, config_of(mix));
            Rng rng(9);
            scatter(swarm, rng);
            if (weighted) swarm.at(0).set_weight(7);
            if (weighted) swarm.at(1).set_weight(0);
            for (auto& node : swarm.nodes) node.averager->set_settling(mix[0] == 'n');
            EXPECT_TRUE(swarm.at(0).begin_exchange(swarm.now));
            swarm.finish_exchanges();
            ends.push_back(swarm.nodes[0].vector->chunks[0]);
            ends.push_back(swarm.nodes[1].vector->chunks[0]);
        }
        EXPECT_EQ(ends[0], ends[2]) << mix;
        EXPECT_EQ(ends[1], ends[3]) << mix;
    }
}

/// We are peer 2 with weight 2^3; the test speaks for peer 1.
class ClaimTest : public testing::Test {
protected:
    ClaimTest() {
        swarm.at(1).set_weight(3);
        drain();
    }

    void drain() {
        while (auto out = swarm.at(1).poll_transmit()) said.push_back(std::move(out->frame));
        while (auto event = swarm.at(1).poll_event()) events.push_back(*event);
    }

    void handle(const Bytes& frame) {
        (void)swarm.at(1).handle_frame(swarm.now, peer_id(1), frame);
        drain();
    }

    /// Asks with this claim and returns the answer.
    Message ask_with(std::int8_t weight, std::uint8_t most, double left = 1.0) {
        Open open;
        open.id = ExchangeId{++ids};
        open.layout = layout_hash(1);
        open.chunk_count = 1;
        open.weight = weight;
        open.weight_max = most;
        open.left = left;
        handle(encode(open));
        return *decode(said.back());
    }

    void give_up() { handle(encode(Abort{ExchangeId{ids}, AbortReason::Gone, 0})); }

    /// Lets ours ask and answers with this. Returns whether it was taken.
    bool taken(Accept accept) {
        swarm.now += 100s;
        EXPECT_TRUE(swarm.at(1).begin_exchange(swarm.now));
        drain();
        accept.id = std::get<Open>(*decode(said.back())).id;
        handle(encode(accept));
        const bool taken = swarm.at(1).initiating();
        handle(encode(Abort{accept.id, AbortReason::Gone, 0}));
        if (!taken) {
            EXPECT_EQ(to_string(events.back().misdeed), "lie");
        }
        swarm.at(1).peer_up(swarm.now, peer_id(1));
        return taken;
    }

    FloatSwarm swarm{2, {4}, 1, [] {
                         auto config = config_of("pairwise");
                         config.strikes = 0;
                         return config;
                     }()};
    std::vector<Bytes> said;
    std::vector<ExchangeEvent> events;
    std::uint64_t ids = 0;
};

TEST_F(ClaimTest, AWeightAboveTheBoundCountsAsTheBoundAndIsCounted) {
    for (const int weight : {11, 100, 127}) {
        swarm.now += 100s;
        const auto accept = std::get<Accept>(ask_with(static_cast<std::int8_t>(weight), 255));
        EXPECT_EQ(accept.tilt, 7);
        EXPECT_EQ(accept.weight, 3);
        give_up();
    }
    swarm.now += 100s;
    EXPECT_EQ(std::get<Accept>(ask_with(-128, 255)).tilt, -7);
    EXPECT_EQ(swarm.at(1).counters().weights_clipped, 4U);
    give_up();
    swarm.now += 100s;
    EXPECT_EQ(std::get<Accept>(ask_with(5, 1)).tilt, 1) << "the lower of both bounds";
    give_up();
    swarm.now += 100s;
    EXPECT_EQ(std::get<Accept>(ask_with(10, 7)).tilt, 7);
    EXPECT_EQ(swarm.at(1).counters().weights_clipped, 5U) << "just within it";
}

TEST_F(ClaimTest, AWeightOfZeroOrNoneIsAnEvenPair) {
    const auto accept = std::get<Accept>(ask_with(100, 0));
    EXPECT_EQ(accept.tilt, 0);
    EXPECT_EQ(accept.coefficient, 0.5);
    EXPECT_EQ(swarm.at(1).counters().weights_clipped, 0U);
}

TEST_F(ClaimTest, AnOldPartnerIsAnEvenPair) {
    Open open;
    open.id = ExchangeId{77};
    open.layout = layout_hash(1);
    open.chunk_count = 1;
    auto frame = encode(open);
    frame[1] = std::byte{0x11};
    frame.resize(frame.size() - 10);
    frame[2] = static_cast<std::byte>(frame.size() - 4);
    handle(frame);
    const auto accept = std::get<Accept>(*decode(said.back()));
    EXPECT_EQ(accept.tilt, 0);
    EXPECT_EQ(accept.coefficient, 0.5);
}

TEST_F(ClaimTest, AWeightThatChangesEachSecondCountsAsNone) {
    int tilted = 0;
    for (int second = 0; second < 50; ++second) {
        swarm.now += 1s;
        const auto weight = static_cast<std::int8_t>(second % 2 == 0 ? 10 : -4 - second / 2);
        if (std::get<Accept>(ask_with(weight, 7)).tilt < 0) ++tilted;
        give_up();
    }
    EXPECT_LE(tilted, 2);
    EXPECT_GE(swarm.at(1).counters().weights_distrusted, 20U);
    // Nor do we tell such a partner a weight that it could answer with a tilt.
    swarm.now += 1s;
    (void)ask_with(-50, 7);
    give_up();
    EXPECT_TRUE(swarm.at(1).begin_exchange(swarm.now + 20s));
    drain();
    EXPECT_EQ(std::get<Open>(*decode(said.back())).weight_max, 0U);
}

TEST_F(ClaimTest, WhatIsLeftMustBeAShare) {
    using Limits = std::numeric_limits<double>;
    for (const double left : {0.0, -1.0, 1.5, Limits::infinity(), Limits::quiet_NaN()}) {
        const auto refuse = std::get<Refuse>(ask_with(3, 7, left));
        EXPECT_EQ(refuse.reason, RefuseReason::Coefficient) << left;
    }
    const auto accept = std::get<Accept>(ask_with(0, 7, 0.25));
    EXPECT_EQ(accept.tilt, -3);
    EXPECT_NEAR(share_of(accept.coefficient, Tilt::lighter_by(3)), 0.25, 1e-12);
}

TEST_F(ClaimTest, AcceptsThatSayMoreThanWeOfferedAreLies) {
    Accept accept;
    EXPECT_TRUE(taken(accept)) << "even";
    accept.coefficient = 0.51;
    EXPECT_FALSE(taken(accept));
    accept.coefficient = std::numeric_limits<double>::quiet_NaN();
    EXPECT_FALSE(taken(accept));
    accept.coefficient = 0.0;
    EXPECT_FALSE(taken(accept));
    accept.coefficient = 0.5;
    accept.tilt = 2;
    EXPECT_FALSE(taken(accept)) << "a tilt without a weight";
    accept.weight = 1;
    accept.weight_max = 7;
    EXPECT_TRUE(taken(accept)) << "we are heavier by 2^2";
    accept.tilt = 1;
    EXPECT_FALSE(taken(accept)) << "it is 2";
    accept.tilt = -2;
    EXPECT_FALSE(taken(accept));
    accept.weight = -128;
    accept.tilt = 127;
    EXPECT_FALSE(taken(accept)) << "beyond our bound";
    accept.tilt = 7;
    EXPECT_TRUE(taken(accept));
    // That one and the partner before it: its weight has changed, and 7 is not the difference.
    EXPECT_GE(swarm.at(1).counters().weights_clipped, 1U);
    accept.weight = 10;
    accept.tilt = -7;
    EXPECT_FALSE(taken(accept)) << "we have promised half of the way, not nearly all";
    accept.coefficient = coefficient_for(0.5, Tilt::lighter_by(7));
    EXPECT_TRUE(taken(accept));
}

TEST_F(ClaimTest, NoWeightMovesUsBeyondTheClip) {
    // Ours is zero: the reach is ten times the norm of as many ones.
    for (const float size : {9.9F, 10.1F}) {
        swarm.now += 100s;
        EXPECT_EQ(std::get<Accept>(ask_with(100, 255)).tilt, 7);
        Bytes frame(kPayloadOffset + 16);
        const std::vector<float> values(4, size);
        std::memcpy(frame.data() + kPayloadOffset, values.data(), 16);
        write_payload_header(
            Chunk{ExchangeId{ids}, 0, 4, 0, {}}, std::span(frame).first<kPayloadOffset>()
        );
        handle(frame);
        auto& ours = swarm.nodes[1].vector->chunks[0];
        const float place = ours[0];
        ours.assign(4, 0.0F);
        if (size > 10.0F) {
            EXPECT_EQ(to_string(events.back().misdeed), "norm");
            EXPECT_EQ(place, 0.0F);
        } else {
            EXPECT_NEAR(place, 9.9F * 128.0F / 129.0F, 1e-4F);
        }
        give_up();
    }
}

}  // namespace
}  // namespace starling::gossip
