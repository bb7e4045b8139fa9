// Goal: with weighted pairs averaging keeps the same promises, of the sum of weight times value: A1 to
// A6, A9 and A10 on exact integers under random faults, A7 and A10 among liars, A8 afterwards. Method:
// the runs of random_faults_test and averaging_test with weights drawn from the seed.

#include <cmath>
#include <gtest/gtest.h>

#include "tests/simulation/fault_schedule.hpp"

namespace starling::simulation {
namespace {

using namespace std::chrono_literals;
using peer_virtual::SwarmOptions;

/// Truncation stops two peers within 1 + 2^7 of each other, and others between them.
constexpr std::uint64_t kMet = 300;

std::vector<std::int8_t> draw_weights(std::size_t peers, std::uint64_t seed) {
    auto rng = Rng(seed).fork(0x77656967);
    std::vector<std::int8_t> weights;
    // Sums of 2^7 times the values fit 64 bits, and no two differ by more than the bound.
    for (std::size_t i = 0; i < peers; ++i) {
        weights.push_back(static_cast<std::int8_t>(rng.below(8)));
    }
    return weights;
}

/// Sum over the running nodes of 2^weight times each element.
std::vector<std::int64_t> weighted_sums(const Swarm& swarm, const SwarmOptions& options) {
    std::vector<std::int64_t> total;
    for (const auto node : swarm.running()) {
        const auto& values = swarm.vector(node).values();
        total.resize(values.size());
        for (std::size_t i = 0; i < values.size(); ++i) {
            total[i] += values[i] << options.averaging->weights[node];
        }
    }
    return total;
}

TEST(WeightedSwarms, WeightedSumIsKeptExactlyAndAllMeet) {
    std::size_t exact = 0;
    for (const auto seed : seeds(6)) {
        SwarmOptions o;
        o.peers = 12;
        o.seed = seed;
        o.averaging.emplace();
        o.averaging->config.encoding = gossip::Encoding::Exact64;
        o.averaging->config.window_bytes = 32;
        o.averaging->shape.locked = 0.2;
        o.averaging->replay = 0.05;
        o.averaging->range = std::int64_t{1} << 30U;
        o.averaging->weights = draw_weights(o.peers, seed);
        o.network.loss = 0.05;
        Simulation simulation(o, {.allow_rejected = true});
        auto& swarm = simulation.swarm();
        swarm.quiesce();
        ASSERT_TRUE(simulation.form() || simulation.passed());
        const auto before = weighted_sums(swarm, o);
        swarm.resume_mixing();
        simulation.require_within(4min, "A3 all meet", [&] { return swarm.spread() <= kMet; });
        simulation.finish_exchanges();
        ASSERT_TRUE(simulation.passed());
        std::uint64_t half_applied = 0;
        for (const auto node : swarm.running()) half_applied += swarm.book().open(node);
        if (half_applied > 0) continue;
        ++exact;
        EXPECT_EQ(weighted_sums(swarm, o), before) << repeat_command(seed);
    }
    EXPECT_GT(exact, 0U);
}

/// As in random_faults_test: forms, has faults, and must be whole again after everything is healed.
void endure(Simulation& simulation, FaultSchedule& faults) {
    simulation.swarm().start_all(1s);
    simulation.run_for(5s);
    faults.run_with_faults(simulation, 90s);
    faults.heal(simulation);
    simulation.require_within(120s, "S3 whole after the heal", [&] {
        return simulation.swarm().whole();
    });
    simulation.swarm().stop_training();
}

TEST(WeightedSwarms, KeepTheInvariantsUnderRandomFaults) {
    for (const auto seed : seeds(25)) {
        FaultSchedule faults(seed);
        auto o = faults.draw_options();
        o.averaging->weights = draw_weights(o.peers, seed);
        Simulation simulation(o);
        auto& swarm = simulation.swarm();
        faults.prepare(swarm);
        endure(simulation, faults);
        std::vector<std::uint64_t> before;
        for (NodeIndex i = 0; i < swarm.size(); ++i) {
            before.push_back(swarm.averager(i).counters().committed);
        }
        simulation.run_for(100 * o.averaging->mix_every);
        // Both sides count, so each has at least a tenth of what it opens.
        for (NodeIndex i = 0; i < swarm.size(); ++i) {
            const auto committed = swarm.averager(i).counters().committed - before[i];
            if (committed >= 10) continue;
            simulation.checkers().report("A8 nobody is starved", i, std::to_string(committed));
        }
        simulation.require_within(240s, "A3 all meet after the heal", [&] {
            return swarm.spread() <= kMet;
        });
        simulation.finish_exchanges();
        ASSERT_TRUE(simulation.passed(faults.story())) << "seed " << seed;
    }
}

TEST(WeightedSwarms, LiarsReachNoModelAndMisfitsNoChunk) {
    for (const auto seed : seeds(12)) {
        FaultSchedule faults(seed);
        auto o = faults.draw_options_with_liars();
        o.averaging->config.mix = {};
        o.averaging->weights = draw_weights(o.peers, seed);
        auto expectations = expectations_of(o);
        expectations.value_max = 1e6F;
        Simulation simulation(o, expectations);
        auto& swarm = simulation.swarm();
        endure(simulation, faults);
        swarm.stop_lying();
        // In thousandths, a share of the values: as coarse as bf16.
        simulation.require_within(240s, "A3 the honest meet after the lies", [&] {
            float largest = 0.0F;
            for (const auto node : swarm.running()) {
                for (const float value : swarm.floats(node).values()) {
                    largest = std::max(largest, std::abs(value));
                }
            }
            return swarm.spread() <= 1 + static_cast<std::uint64_t>(8.0F * largest);
        });
        simulation.finish_exchanges();
        ASSERT_TRUE(simulation.passed(faults.story())) << "seed " << seed;
    }
}

}  // namespace
}  // namespace starling::simulation
