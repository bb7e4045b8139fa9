// Goal: a fast peer among slow ones is not held up where pairs are weighted by speed, and what is
// optimised then is the sum of weight times speed. Method: real averagers on wires in memory, noisy
// quadratics whose minimum is known, in virtual time: each peer opens an exchange after each of its
// steps. The table is printed; docs/results/weights.md has it.

#include <cmath>
#include <cstdio>

#include "tests/unit/gossip/support/rule_swarm.hpp"

namespace starling::gossip {
namespace {

constexpr std::size_t kElements = 16;
/// One peer alone comes to 5 % of its first loss after 408 steps.
constexpr double kRate = 0.003665;
constexpr double kNoise = 0.002;
constexpr int kFaster = 100;

/// One step of a peer's own noisy quadratic around `minimum`.
void descend(FloatSwarm::Node& node, double rate, double noise, double minimum, Rng& rng) {
    for (auto& value : node.vector->chunks[0]) {
        const double gradient = double{value} - minimum;
        value += static_cast<float>(noise * rng.normal() - rate * gradient);
    }
}

double loss(const FloatSwarm::Node& node) {
    double sum = 0.0;
    for (const float value : node.vector->chunks[0]) sum += double{value} * double{value};
    return sum / kElements;
}

/// Returns the steps of a peer until it has 5 % of its first loss. It is a hundred times as fast as
/// each of the n - 1 others, who begin where it begins.
int steps_to_target(std::size_t peers, bool weighted, std::uint64_t seed) {
    FloatSwarm swarm(peers, {kElements}, seed, config_of("pairwise"));
    Rng rng(seed);
    for (std::size_t i = 0; i < peers; ++i) {
        auto& node = swarm.nodes[i];
        node.vector->chunks[0].assign(kElements, 1.0F);
        // The power of two that is nearest to 100 is 128.
        if (weighted) node.averager->set_weight(static_cast<std::int8_t>(i == 0 ? 7 : 0));
    }
    for (int step = 1; step <= 20000; ++step) {
        for (std::size_t i = 0; i < peers; ++i) {
            // The slow ones take their steps at different times.
            const bool due = i == 0 || (step + static_cast<int>(i) * 7) % kFaster == 0;
            if (!due) continue;
            descend(swarm.nodes[i], kRate, kNoise, 0.0, rng);
            (void)swarm.at(i).begin_exchange(swarm.now);
            while (swarm.deliver()) {
            }
        }
        if (loss(swarm.nodes[0]) <= 0.05) return step;
        swarm.now += std::chrono::milliseconds(20);
    }
    return 20000;
}

double mean_steps(std::size_t peers, bool weighted) {
    double sum = 0.0;
    for (std::uint64_t seed = 1; seed <= 3; ++seed) sum += steps_to_target(peers, weighted, seed);
    return sum / 3.0;
}

TEST(WeightsTable, AFastPeerIsNotSlowedByEqualsThatAreAHundredTimesSlower) {
    const double alone = mean_steps(1, false);
    EXPECT_NEAR(alone, 408.0, 8.0);
    std::printf("| n | even pairs | weighted pairs | W / (w_f + sum w_s r_s / r_f) of alone |\n");
    std::printf("| 1 | %.0f | | |\n", alone);
    for (const std::size_t peers : {2U, 10U, 20U}) {
        const double even = mean_steps(peers, false);
        const double weighted = mean_steps(peers, true);
        const auto others = static_cast<double>(peers - 1);
        const double expected = alone * (128.0 + others) / (128.0 + others / kFaster);
        std::printf("| %zu | %.0f | %.0f | %.0f |\n", peers, even, weighted, expected);
        EXPECT_LE(weighted, 1.15 * expected) << peers;
        EXPECT_LE(weighted, 1.17 * alone) << peers;
        EXPECT_GE(even, 1.8 * weighted) << peers << ": what weights are for";
    }
}

/// Two peers with minima at 1 and -1, the first four times as fast. Returns where they meet.
double meeting_place(std::int8_t weight) {
    FloatSwarm swarm(2, {kElements}, 5, config_of("pairwise"));
    Rng rng(5);
    swarm.at(0).set_weight(weight);
    swarm.at(1).set_weight(0);
    for (int step = 0; step < 2500; ++step) {
        descend(swarm.nodes[0], kRate, 0.0, 1.0, rng);
        if (step % 4 == 3) descend(swarm.nodes[1], kRate, 0.0, -1.0, rng);
        (void)swarm.at(0).begin_exchange(swarm.now);
        while (swarm.deliver()) {
        }
        swarm.now += std::chrono::milliseconds(20);
    }
    return double{swarm.nodes[0].vector->chunks[0][0]};
}

TEST(WeightsTable, WhatIsOptimisedIsTheSumOfWeightTimesSpeed) {
    // Even: 4 (x - 1) + (x + 1) = 0. Weighted by speed a peer counts by the square of it:
    // 16 (x - 1) + (x + 1) = 0. A weight of 1 / speed gives the sum of both objectives.
    EXPECT_NEAR(meeting_place(0), 3.0 / 5.0, 0.01);
    EXPECT_NEAR(meeting_place(2), 15.0 / 17.0, 0.01);
    EXPECT_NEAR(meeting_place(-2), 0.0, 0.01);
}

}  // namespace
}  // namespace starling::gossip
