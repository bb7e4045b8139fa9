// Goal: the mixing rules contract as fast as theory and simulation say, in the table of mixing
// factors that the design starts from. Method: real averagers in rounds, means over seeds. An
// expectation of the table must be met within three standard errors; for a value from one run, the
// expectation behind it is used.

#include <functional>
#include <numeric>

#include "tests/unit/gossip/support/rule_swarm.hpp"

namespace starling::gossip {
namespace {

constexpr std::size_t kPeers = 16;

/// Runs `round` that often on fresh swarms; returns the mean variance after each, relative to the
/// start.
std::vector<double> curve(
    std::string_view mix,
    int rounds,
    const std::function<void(FloatSwarm&, Rng&, int)>& round,
    std::size_t peers = kPeers
) {
    constexpr int kSeeds = 12;
    std::vector<double> sum(static_cast<std::size_t>(rounds), 0.0);
    for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
        auto config = config_of(mix);
        config.sync_seed = seed;
        FloatSwarm swarm(peers, {3000}, seed, config);
        Rng rng(seed);
        scatter(swarm, rng);
        const double first = variance(swarm);
        for (int r = 0; r < rounds; ++r) {
            swarm.now += std::chrono::seconds(20);
            round(swarm, rng, r);
            sum[static_cast<std::size_t>(r)] += variance(swarm) / first / kSeeds;
        }
    }
    return sum;
}

TEST(MixingTable, RandomPerfectMatchingsLeaveSevenFifteenths) {
    const auto matched = curve("pairwise", 10, [](FloatSwarm& swarm, Rng& rng, int round) {
        if (round == 0) isolate(swarm);
        std::vector<std::size_t> order(kPeers);
        std::iota(order.begin(), order.end(), 0U);
        rng.shuffle(std::span<std::size_t>(order));
        for (std::size_t i = 0; i < kPeers; i += 2) meet(swarm, order[i], order[i + 1]);
    });
    // (n - 2) / (2 (n - 1)) = 0.467; 3000 elements and 12 seeds leave little to chance at first.
    EXPECT_NEAR(matched[0], 0.467, 0.01);
    EXPECT_NEAR(matched[1] / matched[0], 0.467, 0.03);
    EXPECT_LT(matched[9], 1.3e-3);
}

TEST(MixingTable, OnePeerExponentialGraphIsExactAfterFourRoundsOfSixteen) {
    const auto paired = curve("pairwise", 4, [](FloatSwarm& swarm, Rng&, int round) {
        for (auto& node : swarm.nodes) {
            (void)node.averager->begin_round(swarm.now, static_cast<std::uint64_t>(round));
        }
        swarm.finish_exchanges();
    });
    // (2^-k - 1/n) / (1 - 1/n): the table's one run has 0.48, 0.21, 0.07 and 0.
    EXPECT_NEAR(paired[0], 0.467, 0.02);
    EXPECT_NEAR(paired[1], 0.200, 0.02);
    EXPECT_NEAR(paired[2], 0.067, 0.01);
    EXPECT_LT(paired[3], 1e-12);
}

TEST(MixingTable, TwelvePeersAreNeverExactButFast) {
    const auto paired = curve(
        "pairwise",
        5,
        [](FloatSwarm& swarm, Rng&, int round) {
            for (auto& node : swarm.nodes) {
                (void)node.averager->begin_round(swarm.now, static_cast<std::uint64_t>(round));
            }
            swarm.finish_exchanges();
        },
        12
    );
    EXPECT_LT(paired[1], 0.35);
    EXPECT_LT(paired[4], 0.03);
    EXPECT_GT(paired[4], 1e-9);
}

/// Each peer pushes to one random other; with `loss`, so many pushes come back instead.
std::vector<double> push_curve(double loss, double& moved) {
    moved = 0.0;
    return curve("push-sum", 10, [&](FloatSwarm& swarm, Rng& rng, int round) {
        if (round == 0) isolate(swarm);
        const auto before = mass(swarm);
        for (std::size_t from = 0; from < kPeers; ++from) {
            auto to = static_cast<std::size_t>(rng.below(kPeers - 1));
            if (to >= from) ++to;
            if (!ask(swarm, from, to)) continue;
            // The parameters are the fourth frame: Open, Accept, and then the chunk.
            swarm.deliver();
            swarm.deliver();
            if (rng.chance(loss)) {
                swarm.cut(from, to);
            }
            swarm.finish_exchanges();
            swarm.at(from).peer_down(swarm.now, swarm.nodes[to].id);
            swarm.drain();
        }
        moved = std::max(moved, largest_difference(mass(swarm), before));
    });
}

TEST(MixingTable, PushSumWithARandomTargetHalvesAndIsUnbiasedEvenWithLosses) {
    double moved = 0.0;
    const auto lossless = push_curve(0.0, moved);
    EXPECT_LT(moved, 1e-4);
    EXPECT_NEAR(std::pow(lossless[9] / lossless[1], 1.0 / 8), 0.5, 0.12);
    const auto lossy = push_curve(0.1, moved);
    EXPECT_LT(moved, 1e-4) << "the sender keeps what was lost";
    EXPECT_NEAR(std::pow(lossy[9] / lossy[1], 1.0 / 8), 0.55, 0.12);
    EXPECT_GT(lossy[9], lossless[9]);
}

/// Groups of a square grid average among themselves, rows and columns in turn: the mixer of
/// Moshpit, which two rounds of any grouping by digits reproduce.
TEST(MixingTable, SquareGridsAreExactAfterTwoRounds) {
    struct Grid {
        std::size_t side;
        double after_one;  ///< (side - 1) / (side^2 - 1)
        double tolerance;
    };

    for (const Grid grid : {Grid{4, 0.2, 0.02}, Grid{32, 2.9e-2, 0.002}}) {
        Rng rng(1);
        const std::size_t n = grid.side * grid.side;
        double one = 0.0;
        double two = 0.0;
        for (int run = 0; run < 400; ++run) {
            std::vector<double> x(n);
            for (auto& value : x) value = rng.normal();
            const auto spread = [&] {
                const double mean =
                    std::accumulate(x.begin(), x.end(), 0.0) / static_cast<double>(n);
                double sum = 0.0;
                for (const double value : x) sum += (value - mean) * (value - mean);
                return sum;
            };
            const double first = spread();
            for (const bool rows : {true, false}) {
                for (std::size_t g = 0; g < grid.side; ++g) {
                    const auto at = [&](std::size_t i) {
                        return rows ? g * grid.side + i : i * grid.side + g;
                    };
                    double mean = 0.0;
                    for (std::size_t i = 0; i < grid.side; ++i) mean += x[at(i)];
                    mean /= static_cast<double>(grid.side);
                    for (std::size_t i = 0; i < grid.side; ++i) x[at(i)] = mean;
                }
                (rows ? one : two) += spread() / first / 400.0;
            }
        }
        EXPECT_NEAR(one, grid.after_one, grid.tolerance);
        EXPECT_LT(two, 1e-25);
    }
}

}  // namespace
}  // namespace starling::gossip
