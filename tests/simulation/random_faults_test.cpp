// Goal: no combination of faults breaks an invariant, and once the faults end the swarm is whole
// and meets.
// Method: for each seed a random swarm under random faults (safety phase), then everything healed
// (liveness phase), as TigerBeetle's simulator does. STARLING_SIM_SEEDS sets how many seeds,
// STARLING_SIM_SEED repeats one.

#include <cmath>
#include <fstream>
#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "tests/simulation/fault_schedule.hpp"

namespace starling::simulation {
namespace {

using namespace std::chrono_literals;

constexpr Duration kTorment = 90s;
constexpr Duration kWholeWithin = 120s;
constexpr Duration kMeetWithin = 240s;

struct Outcome {
    bool passed = false;
    std::uint64_t trace = 0;
};

Outcome run(std::uint64_t seed) {
    FaultSchedule faults(seed);
    const auto options = faults.draw_options();
    Simulation simulation(options);
    auto& swarm = simulation.swarm();
    swarm.start_all(1s);
    simulation.run_for(5s);
    faults.torment(simulation, kTorment);
    faults.heal(simulation);
    simulation.require_within(kWholeWithin, "S3 whole after the heal", [&] {
        return swarm.whole();
    });
    // Local steps end, mixing goes on: what differs now must vanish.
    swarm.stop_training();
    simulation.require_within(kMeetWithin, "A4 all meet after the heal", [&] {
        return swarm.spread() <= 1;
    });
    simulation.settle();
    return {simulation.passed(faults.story()), swarm.trace_hash()};
}

/// Returns the seeds in failed_seeds.txt.
std::vector<std::uint64_t> failed_seeds() {
    std::vector<std::uint64_t> list;
    std::ifstream file(FAILED_SEEDS);
    std::string line;
    while (std::getline(file, line)) {
        if (line.rfind("0x", 0) == 0) list.push_back(std::stoull(line, nullptr, 16));
    }
    return list;
}

TEST(RandomFaults, SwarmStaysSafeUnderThemAndConvergesAfterwards) {
    for (const auto seed : seeds(200)) {
        ASSERT_TRUE(run(seed).passed);
    }
}

/// What every rule promises under all faults: exchanges end (A4), our machines take what our
/// machines send (A7), values stay finite, weights stay weights; and afterwards the swarm meets
/// (A3).
bool run_on_floats(std::uint64_t seed) {
    FaultSchedule faults(seed);
    const auto options = faults.draw_options_on_floats();
    Simulation simulation(options, {.allow_rejected = options.averaging->replay > 0.0});
    auto& swarm = simulation.swarm();
    swarm.start_all(1s);
    simulation.run_for(5s);
    faults.torment(simulation, kTorment);
    faults.heal(simulation);
    simulation.require_within(kWholeWithin, "S3 whole after the heal", [&] {
        return swarm.whole();
    });
    swarm.stop_training();
    simulation.require_within(kMeetWithin, "A3 all meet after the heal", [&] {
        return swarm.spread() <= 1;
    });
    simulation.settle();
    double total = 0.0;
    for (const auto node : swarm.running()) {
        const double weight = swarm.averager(node).weight(0);
        total += weight;
        if (!(weight > 0.0 && weight < 1e6)) {
            simulation.checkers().report("A1 weights stay weights", node, std::to_string(weight));
        }
        if (swarm.averager(node).returning() || swarm.averager(node).ghost()) {
            simulation.checkers().report("A4 nothing is left over", node, "");
        }
        for (const float value : swarm.floats(node).values()) {
            if (!std::isfinite(value)) simulation.checkers().report("A5 finite", node, "");
        }
    }
    // Each crash takes mass along and each promotion brings some; it never runs out.
    if (total < 0.1) simulation.checkers().report("A1 mass is left", 0, std::to_string(total));
    return simulation.passed(faults.story());
}

TEST(RandomFaults, EveryRuleStaysSafeUnderThemAndConvergesAfterwards) {
    for (const auto seed : seeds(60)) {
        ASSERT_TRUE(run_on_floats(seed));
    }
}

TEST(RandomFaults, EverySeedThatEverFailedPasses) {
    const auto list = failed_seeds();
    ASSERT_FALSE(list.empty()) << FAILED_SEEDS;
    for (const auto seed : list) {
        EXPECT_TRUE(run(seed).passed);
        EXPECT_TRUE(run_on_floats(seed));
    }
}

TEST(RandomFaults, SameSeedGivesTheSameRunEventForEvent) {
    for (const auto seed : seeds(3)) {
        EXPECT_EQ(run(seed).trace, run(seed).trace) << repeat_command(seed);
    }
}

}  // namespace
}  // namespace starling::simulation
