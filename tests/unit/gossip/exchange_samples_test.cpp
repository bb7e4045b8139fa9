// Goal: a lattice finds its scale for any partner, met before or not, near or far, and whatever that
// partner says of itself. Method: averagers over wires in memory on floats; frames of an old partner, and
// lies, in place of what a partner sent.

#include <limits>

#include "gossip/codec.hpp"
#include "tests/unit/gossip/support/rule_swarm.hpp"

namespace starling::gossip {
namespace {

const std::vector<std::size_t> kSizes{5000, 4096};
constexpr std::uint64_t kParameters = 9096;

class LatticeScale : public testing::TestWithParam<Encoding> {
protected:
    /// Peers near each other, of whom nobody knows anybody yet.
    [[nodiscard]] FloatSwarm near(std::size_t peers) {
        FloatSwarm swarm(peers, kSizes, 1, config_of("pairwise", GetParam()));
        scatter(swarm, rng);
        for (auto& node : swarm.nodes) node.vector->chunks = swarm.nodes[0].vector->chunks;
        local_step(swarm, rng, 0.01);
        isolate(swarm);
        return swarm;
    }

    [[nodiscard]] std::uint64_t bytes_in_codes() const {
        return kParameters * (GetParam() == Encoding::Lattice8 ? 2 : 1) + 200;
    }

    /// Runs what is on the wire to its end; `change` may change each Accept.
    template <class Change>
    static void run(FloatSwarm& swarm, Change&& change) {
        swarm.drain();
        while (!swarm.wire.empty()) {
            auto& frame = swarm.wire.front().frame;
            const auto message = decode(frame);
            if (const auto* accept = std::get_if<Accept>(&*message)) frame = change(*accept);
            swarm.deliver();
        }
    }

    Rng rng{1};
};

double distance(const FloatSwarm& swarm, std::size_t a, std::size_t b) {
    double sum = 0.0;
    for (std::size_t chunk = 0; chunk < kSizes.size(); ++chunk) {
        const auto& one = swarm.nodes[a].vector->chunks[chunk];
        const auto& other = swarm.nodes[b].vector->chunks[chunk];
        for (std::size_t i = 0; i < one.size(); ++i) {
            sum += std::pow(double{one[i]} - double{other[i]}, 2);
        }
    }
    return std::sqrt(sum / static_cast<double>(kParameters));
}

TEST_P(LatticeScale, FirstMeetingOfAPairIsInCodesOnceTheInitiatorHasMetAnybody) {
    auto swarm = near(3);
    meet(swarm, 0, 1);
    EXPECT_GT(swarm.nodes[0].events.back().bytes, 4 * kParameters) << "bf16: it knows nothing";
    meet(swarm, 0, 2);
    EXPECT_LT(swarm.nodes[0].events.back().bytes, bytes_in_codes());
    meet(swarm, 2, 1);
    EXPECT_LT(swarm.nodes[2].events.back().bytes, bytes_in_codes()) << "who answered knows, too";
}

TEST_P(LatticeScale, PartnerThatIsTwentyTimesAsFarIsDecodedAtOnce) {
    auto swarm = near(3);
    meet(swarm, 0, 1);
    for (auto& chunk : swarm.nodes[2].vector->chunks) {
        for (auto& value : chunk) value += static_cast<float>(0.2 * rng.normal());
    }
    const double before = distance(swarm, 0, 2);
    meet(swarm, 0, 2);
    EXPECT_LT(swarm.nodes[0].events.back().bytes, bytes_in_codes());
    EXPECT_EQ(swarm.at(2).counters().asked_again, 0U);
    EXPECT_LT(distance(swarm, 0, 2), 0.6 * before);
}

TEST_P(LatticeScale, OfAQuietPairFollowsItsDistance) {
    auto swarm = near(2);
    for (int meeting = 0; meeting < 10; ++meeting) meet(swarm, 0, 1);
    EXPECT_EQ(swarm.at(0).counters().asked_again + swarm.at(1).counters().asked_again, 0U);
    EXPECT_LT(distance(swarm, 0, 1), 1e-4) << "a hundredth of what it was";
}

TEST_P(LatticeScale, OldPartnerTellsNothingAndIsTakenForAsFarAsTheLast) {
    auto swarm = near(2);
    for (int meeting = 0; meeting < 4; ++meeting) {
        ASSERT_TRUE(ask(swarm, 0, 1));
        run(swarm, [](Accept accept) {
            EXPECT_TRUE(accept.samples.has_value());
            accept.samples.reset();
            return encode(accept);
        });
        EXPECT_EQ(swarm.nodes[0].events.back().outcome, Outcome::Committed);
        isolate(swarm);
        local_step(swarm, rng, 0.01);
    }
    EXPECT_LT(swarm.nodes[0].events.back().bytes, bytes_in_codes());
}

TEST_P(LatticeScale, ChunksAfterOneThatComesAgainHaveAWiderScale) {
    auto config = config_of("pairwise", GetParam());
    config.window_bytes = 1;
    const std::vector<std::size_t> sizes(10, 4096);
    FloatSwarm swarm(2, sizes, 1, config);
    local_step(swarm, rng, 0.01);
    isolate(swarm);
    meet(swarm, 0, 1);
    // Much further, and the partner tells nothing.
    local_step(swarm, rng, GetParam() == Encoding::Lattice8 ? 0.1 : 0.03);
    ASSERT_TRUE(ask(swarm, 0, 1));
    run(swarm, [](Accept accept) {
        accept.samples->fill(std::numeric_limits<float>::quiet_NaN());
        return encode(accept);
    });
    const auto again = swarm.at(1).counters().asked_again;
    EXPECT_GE(again, 2U);
    EXPECT_LE(again, 9U);
    EXPECT_EQ(swarm.nodes[0].events.back().outcome, Outcome::Committed);
}

TEST_P(LatticeScale, LiesAboutSamplesMoveNobodyFurtherThanTheGapThatIsBelievedAndTheClip) {
    using Limits = std::numeric_limits<float>;
    for (const float lie :
         {0.0F, 5.0F, -1e30F, Limits::max(), Limits::infinity(), Limits::quiet_NaN()}) {
        SCOPED_TRACE(lie);
        auto swarm = near(2);
        meet(swarm, 0, 1);
        local_step(swarm, rng, 0.01);
        const auto ours = swarm.nodes[0].vector->chunks;
        const auto theirs = swarm.nodes[1].vector->chunks;
        ASSERT_TRUE(ask(swarm, 0, 1));
        run(swarm, [&](Accept accept) {
            accept.samples->fill(lie);
            return encode(accept);
        });
        EXPECT_EQ(swarm.nodes[0].events.back().outcome, Outcome::Committed);
        // The gap was at most 0.08. Half of a step of the widest scale is how far rounding may miss.
        const double widest =
            0.08 * 32.0 * (GetParam() == Encoding::Lattice8 ? 4.0 / 127 : 1.3 / 7);
        for (std::size_t chunk = 0; chunk < kSizes.size(); ++chunk) {
            const auto& mine = swarm.nodes[0].vector->chunks[chunk];
            const auto& other = swarm.nodes[1].vector->chunks[chunk];
            for (std::size_t i = 0; i < mine.size(); ++i) {
                const float moved = std::fabs(mine[i] - ours[chunk][i]);
                ASSERT_LE(moved, 0.08 + 0.51 * widest);
                ASSERT_NEAR(mine[i] + other[i], ours[chunk][i] + theirs[chunk][i], 2e-6);
            }
        }
    }
}

TEST_P(LatticeScale, CodesOfALiarBehindALyingSampleStayWithinTheRangeAndTheClip) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        SCOPED_TRACE(seed);
        auto swarm = near(2);
        meet(swarm, 0, 1);
        const auto ours = swarm.nodes[0].vector->chunks;
        ASSERT_TRUE(ask(swarm, 0, 1));
        Rng liar(seed);
        swarm.drain();
        while (!swarm.wire.empty()) {
            auto& frame = swarm.wire.front().frame;
            constexpr std::byte kReply{6};
            auto message = decode(frame);
            if (auto* accept = std::get_if<Accept>(&*message)) {
                accept->samples->fill(1e9F);
                frame = encode(*accept);
            } else if (frame[0] == kReply) {
                // Behind the head of eight bytes any byte is a code.
                for (std::size_t i = kPayloadOffset + 8; i < frame.size(); ++i) {
                    frame[i] = static_cast<std::byte>(liar.below(256));
                }
            }
            swarm.deliver();
        }
        // a = 1/2 of the range: 32 times the gap with its margin, and far below the clip.
        const double range = 0.5 * 0.08 * 32.0 * (GetParam() == Encoding::Lattice8 ? 4.0 : 1.3);
        for (std::size_t chunk = 0; chunk < kSizes.size(); ++chunk) {
            const auto& mine = swarm.nodes[0].vector->chunks[chunk];
            for (std::size_t i = 0; i < mine.size(); ++i) {
                ASSERT_LE(std::fabs(mine[i] - ours[chunk][i]), range);
            }
        }
    }
}

INSTANTIATE_TEST_SUITE_P(
    EachLattice,
    LatticeScale,
    testing::Values(Encoding::Lattice8, Encoding::Lattice4),
    [](const auto& tested) { return std::string(to_string(tested.param)); }
);

}  // namespace
}  // namespace starling::gossip
