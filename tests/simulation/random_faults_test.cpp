// Goal: no combination of faults breaks an invariant, and once the faults end the swarm is whole
// and meets.
// Method: for each seed a random swarm under random faults (safety phase), then everything healed
// (liveness phase), as TigerBeetle's simulator does. STARLING_SIM_SEEDS sets how many seeds,
// STARLING_SIM_SEED repeats one.

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

TEST(RandomFaults, EverySeedThatEverFailedPasses) {
    const auto list = failed_seeds();
    ASSERT_FALSE(list.empty()) << FAILED_SEEDS;
    for (const auto seed : list) {
        EXPECT_TRUE(run(seed).passed);
    }
}

TEST(RandomFaults, SameSeedGivesTheSameRunEventForEvent) {
    for (const auto seed : seeds(3)) {
        EXPECT_EQ(run(seed).trace, run(seed).trace) << repeat_command(seed);
    }
}

}  // namespace
}  // namespace starling::simulation
