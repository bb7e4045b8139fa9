// Goal: samples say how far a partner is now in units of the last gaps, at the same places on both sides,
// and say nothing where they cannot. Method: two benches over floats in memory; the true ratio is known.

#include "gossip/samples.hpp"

#include <cmath>
#include <limits>

#include "base/rng.hpp"
#include "tests/unit/gossip/support/gossip_swarm.hpp"

namespace starling::gossip {
namespace {

const std::vector<std::size_t> kSizes{5000, 9000, 4096, 700};
constexpr std::uint32_t kBuffer = 3;

/// A peer with what its last exchange has seen.
struct Peer {
    explicit Peer(std::uint32_t parts = 1) : vector(kSizes), config(config_with(parts)) {
        vector.buffer = kBuffer;
        bench.lay_out(memory);
    }

    static AveragerConfig config_with(std::uint32_t parts) {
        AveragerConfig config;
        config.encoding = Encoding::Lattice4;
        config.parts = parts;
        return config;
    }

    void fill(double deviation, Rng& rng) {
        for (auto& chunk : vector.chunks) {
            for (auto& value : chunk) value = static_cast<float>(deviation * rng.normal());
        }
    }

    /// As after an exchange in which every block had this deviation.
    void remember(double deviation, const Part& part = {}) {
        for (std::uint32_t chunk = 0; chunk < kSizes.size(); ++chunk) {
            const auto blocks = block_count(bench.elements(chunk, part));
            const auto size = static_cast<float>(deviation);
            const std::vector<BlockGap> gaps(blocks, BlockGap{4.0F * size, size});
            bench.note_gaps(memory, chunk, part, gaps);
        }
    }

    Floats vector;
    AveragerConfig config;
    Workbench bench{config, vector};
    GapMemory memory;
};

TEST(Samples, TellTheDistanceOfThePairWithinAThird) {
    Rng rng(3);
    for (const Part part : {Part{}, Part{2, 3}}) {
        for (const double truth : {0.7, 1.0, 3.0, 20.0}) {
            double sum = 0.0;
            constexpr int kExchanges = 200;
            for (int i = 0; i < kExchanges; ++i) {
                Peer theirs(part.count);
                Peer mine(part.count);
                // Both have this deviation around 0, so their difference has the root of 2 times it.
                theirs.fill(truth * 0.01 / std::sqrt(2.0), rng);
                mine.fill(truth * 0.01 / std::sqrt(2.0), rng);
                mine.remember(0.01, part);
                const ExchangeId id{rng.next()};
                const auto samples = take_samples(theirs.bench, id, part);
                const double apart = measure_apart(mine.bench, mine.memory, id, part, samples);
                EXPECT_NEAR(apart, truth, 0.5 * truth) << "four deviations, seed 3";
                sum += apart / truth / kExchanges;
            }
            EXPECT_NEAR(sum, 1.0, 0.03) << "no bias";
        }
    }
}

TEST(Samples, AreTheSameValuesForEqualPeersAndNeverOfABuffer) {
    Rng rng(4);
    Peer one;
    one.fill(1.0, rng);
    for (auto& value : one.vector.chunks[kBuffer]) value = 1e9F;
    Peer other;
    other.vector.chunks = one.vector.chunks;
    for (int i = 0; i < 100; ++i) {
        const ExchangeId id{rng.next()};
        const auto samples = take_samples(one.bench, id, {});
        EXPECT_EQ(samples, take_samples(other.bench, id, {}));
        for (const float value : samples) EXPECT_LT(std::fabs(value), 10.0F);
    }
}

TEST(Samples, AreBelievedOnlyWithinBounds) {
    Rng rng(5);
    Peer mine;
    mine.fill(1.0, rng);
    mine.remember(0.01);
    const ExchangeId id{6};
    const auto told = [&](float value) {
        Samples samples;
        samples.fill(value);
        return measure_apart(mine.bench, mine.memory, id, {}, samples);
    };
    using Limits = std::numeric_limits<float>;
    EXPECT_EQ(told(1e30F), kApartMax);
    EXPECT_EQ(told(Limits::max()), kApartMax);
    EXPECT_EQ(told(Limits::infinity()), 1.0) << "tells nothing";
    EXPECT_EQ(told(Limits::quiet_NaN()), 1.0);
    const auto own = take_samples(mine.bench, id, {});
    EXPECT_EQ(measure_apart(mine.bench, mine.memory, id, {}, own), kApartMin);
}

TEST(Samples, TellNothingWhereNothingIsKnownOrReadable) {
    Rng rng(7);
    Peer mine;
    Peer theirs;
    mine.fill(1.0, rng);
    theirs.fill(1.0, rng);
    const ExchangeId id{8};
    auto samples = take_samples(theirs.bench, id, {});
    EXPECT_EQ(measure_apart(mine.bench, mine.memory, id, {}, samples), 1.0) << "no exchange yet";
    mine.remember(0.0);
    EXPECT_EQ(measure_apart(mine.bench, mine.memory, id, {}, samples), 1.0) << "there was no gap";
    mine.remember(0.1);
    EXPECT_GT(measure_apart(mine.bench, mine.memory, id, {}, samples), 5.0);
    // Locked for as long as it takes to look.
    mine.vector.decline_reads = 100;
    EXPECT_EQ(measure_apart(mine.bench, mine.memory, id, {}, samples), 1.0);
    theirs.vector.decline_reads = 100;
    samples = take_samples(theirs.bench, id, {});
    mine.vector.decline_reads = 0;
    EXPECT_TRUE(std::all_of(samples.begin(), samples.end(), [](float x) { return std::isnan(x); }));
    EXPECT_EQ(measure_apart(mine.bench, mine.memory, id, {}, samples), 1.0);
}

TEST(Samples, OfNothingButBuffersAreNone) {
    Floats vector({64});
    vector.buffer = 0;
    Workbench bench(Peer::config_with(1), vector);
    for (const float value : take_samples(bench, ExchangeId{1}, {})) EXPECT_TRUE(std::isnan(value));
}

}  // namespace
}  // namespace starling::gossip
