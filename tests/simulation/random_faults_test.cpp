// Goal: no combination of faults breaks an invariant, and when the faults end, the swarm becomes
// whole and its models meet.
// Method: for each seed a random swarm runs under random faults (safety phase); then everything is
// healed (liveness phase), as in TigerBeetle's simulator. STARLING_SIM_SEEDS sets the number of
// seeds, STARLING_SIM_FIRST the first one, STARLING_SIM_SEED repeats one seed, and
// STARLING_SIM_SKIP leaves faults out of that run.

#include <algorithm>
#include <cmath>
#include <fstream>
#include <gtest/gtest.h>
#include <set>
#include <string>
#include <vector>

#include "tests/simulation/fault_schedule.hpp"

namespace starling::simulation {
namespace {

using namespace std::chrono_literals;

constexpr Duration kFaultyTime = 90s;
constexpr Duration kWholeWithin = 120s;
constexpr Duration kMeetWithin = 240s;

/// Shrinking a failure runs at most so many simulations.
constexpr int kShrinkMax = 200;

using Faults = std::set<std::size_t>;

/// Runs a swarm: it forms, has faults, and must be whole again after everything is healed.
void endure(Simulation& simulation, FaultSchedule& faults) {
    simulation.swarm().start_all(1s);
    simulation.run_for(5s);
    faults.run_with_faults(simulation, kFaultyTime);
    faults.heal(simulation);
    simulation.require_within(kWholeWithin, "S3 whole after the heal", [&] {
        return simulation.swarm().whole();
    });
}

/// One run under the faults of a seed, without those to skip.
struct FaultyRun {
    FaultyRun(std::uint64_t seed, const Faults& skipped)
        : faults(seed, skipped),
          simulation(faults.draw_options()) {
        auto& swarm = simulation.swarm();
        faults.prepare(swarm);
        endure(simulation, faults);
        // Local steps end and mixing goes on, so all differences must vanish.
        swarm.stop_training();
        simulation.require_within(kMeetWithin, "A4 all meet after the heal", [&] {
            return swarm.spread() <= 1;
        });
        simulation.finish_exchanges();
    }

    /// Returns the invariant that did not hold, or an empty text.
    std::string violated() {
        const auto& violation = simulation.checkers().violation();
        return violation ? violation->invariant : "";
    }

    FaultSchedule faults;
    Simulation simulation;
};

/// Returns as many faults to skip as possible so that the same invariant still fails. It tries
/// groups of faults first and then single ones (Zeller and Hildebrandt, "Simplifying and Isolating
/// Failure-Inducing Input", 2002).
Faults shrink(std::uint64_t seed, Faults skipped, std::size_t faults, const std::string& what) {
    int runs = 0;
    for (std::size_t chunk = std::max<std::size_t>(1, faults / 2);; chunk = (chunk + 1) / 2) {
        for (std::size_t begin = 0; begin < faults && runs < kShrinkMax; begin += chunk) {
            auto more = skipped;
            for (auto i = begin; i < std::min(begin + chunk, faults); ++i) more.insert(i);
            if (more == skipped) continue;
            ++runs;
            if (FaultyRun(seed, more).violated() == what) skipped = more;
        }
        if (chunk == 1 || runs >= kShrinkMax) return skipped;
    }
}

/// Runs one seed. Shrinks a failure before it is reported.
bool passes(std::uint64_t seed) {
    auto skipped = skipped_faults();
    FaultyRun run(seed, skipped);
    const auto what = run.violated();
    if (what.empty()) return true;
    if (!skipped.empty()) return run.simulation.passed(run.faults.story(), skipped);
    skipped = shrink(seed, skipped, run.faults.faults(), what);
    FaultyRun smaller(seed, skipped);
    return smaller.simulation.passed(smaller.faults.story(), skipped);
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
    for (const auto seed : seeds(120)) {
        ASSERT_TRUE(passes(seed));
    }
}

/// Returns the spread, in thousandths, at which peers have met. The steps of a lattice are not
/// finer than the rounding of bf16, and the steps of two partners add up.
std::uint64_t met_on_floats(
    const peer_virtual::SwarmOptions& options, const peer_virtual::Swarm& swarm
) {
    if (options.averaging->config.encoding == gossip::Encoding::F32) return 1;
    float largest = 0.0F;
    for (const auto node : swarm.running()) {
        for (const float value : swarm.floats(node).values()) {
            largest = std::max(largest, std::abs(value));
        }
    }
    return 1 + static_cast<std::uint64_t>(2e3 * static_cast<double>(largest) / 256.0);
}

/// Checks what every rule promises under all faults: exchanges end (A4), our nodes accept what our
/// nodes send (A7), values stay finite, weights stay valid, and afterwards the models meet (A3).
bool run_on_floats(std::uint64_t seed) {
    const auto skipped = skipped_faults();
    FaultSchedule faults(seed, skipped);
    const auto options = faults.draw_options_on_floats();
    Simulation simulation(options);
    auto& swarm = simulation.swarm();
    endure(simulation, faults);
    swarm.stop_training();
    const auto near = met_on_floats(options, swarm);
    simulation.require_within(kMeetWithin, "A3 all meet after the heal", [&] {
        return swarm.spread() <= near;
    });
    simulation.require_within(kMeetWithin, "A4 every newcomer is promoted", [&] {
        const auto running = swarm.running();
        return std::none_of(running.begin(), running.end(), [&](auto node) {
            return swarm.averager(node).ghost();
        });
    });
    simulation.finish_exchanges();
    double total = 0.0;
    for (const auto node : swarm.running()) {
        const double weight = swarm.averager(node).weight(0);
        total += weight;
        if (!(weight > 0.0 && weight <= 1024.0)) {
            simulation.checkers().report("A1 weights stay weights", node, std::to_string(weight));
        }
        if (swarm.averager(node).returning() || swarm.averager(node).ghost()) {
            simulation.checkers().report("A4 nothing is left over", node, "");
        }
    }
    // Each crash removes some weight and each promotion adds some. It must never run out.
    if (total < 0.1) simulation.checkers().report("A1 mass is left", 0, std::to_string(total));
    return simulation.passed(faults.story(), skipped);
}

TEST(RandomFaults, EveryRuleStaysSafeUnderThemAndConvergesAfterwards) {
    for (const auto seed : seeds(36)) {
        ASSERT_TRUE(run_on_floats(seed));
    }
}

/// Counts how often each node was chosen as a partner.
class Choices final : public peer_virtual::Observer {
public:
    explicit Choices(Swarm& swarm) : swarm_(swarm), chosen_(swarm.size(), 0) {
        swarm.observe(*this);
    }

    void on_exchange(Instant, NodeIndex, const gossip::ExchangeEvent& event) override {
        if (event.initiator) ++chosen_[swarm_.index(event.partner)];
    }

    /// Returns the running node that was chosen least often, and the mean count of all.
    [[nodiscard]] std::pair<NodeIndex, double> least_and_mean() const {
        const auto nodes = swarm_.running();
        std::uint64_t sum = 0;
        auto least = nodes.front();
        for (const auto node : nodes) {
            sum += chosen_[node];
            if (chosen_[node] < chosen_[least]) least = node;
        }
        return {least, static_cast<double>(sum) / static_cast<double>(nodes.size())};
    }

    [[nodiscard]] std::uint64_t of(NodeIndex node) const { return chosen_[node]; }

private:
    const Swarm& swarm_;
    std::vector<std::uint64_t> chosen_;
};

TEST(RandomFaults, NobodyIsStarvedAfterwards) {
    for (const auto seed : seeds(24)) {
        const auto skipped = skipped_faults();
        FaultSchedule faults(seed, skipped);
        const auto options = faults.draw_options();
        Simulation simulation(options);
        auto& swarm = simulation.swarm();
        endure(simulation, faults);
        const Choices choices(swarm);
        simulation.run_for(100 * options.averaging->mix_every);
        const auto [least, mean] = choices.least_and_mean();
        if (static_cast<double>(choices.of(least)) < mean / 10) {
            simulation.checkers().report(
                "A8 nobody is starved",
                least,
                "chosen " + std::to_string(choices.of(least)) + " times, the mean is " +
                    std::to_string(mean)
            );
        }
        ASSERT_TRUE(simulation.passed(faults.story(), skipped));
        ASSERT_GT(mean, 20.0) << repeat_command(seed);
    }
}

struct Named {
    std::uint64_t misdeeds = 0;
    std::uint64_t refusals = 0;
};

/// Checks a swarm with liars: the models of honest members stay sound (A7), liars are named, a
/// member of another layout exchanges no chunk (A10), and when the lies end, the honest ones meet.
bool run_with_liars(std::uint64_t seed, Named& named) {
    const auto skipped = skipped_faults();
    FaultSchedule faults(seed, skipped);
    const auto options = faults.draw_options_with_liars();
    auto expectations = expectations_of(options);
    expectations.value_max = 1e6F;
    Simulation simulation(options, expectations);
    auto& swarm = simulation.swarm();
    endure(simulation, faults);
    swarm.stop_lying();
    swarm.stop_training();
    const auto near = met_on_floats(options, swarm);
    simulation.require_within(kMeetWithin, "A4 the honest meet after the lies", [&] {
        return swarm.spread() <= near;
    });
    simulation.finish_exchanges();
    named.misdeeds += simulation.checkers().misdeeds();
    named.refusals += simulation.checkers().refusals();
    return simulation.passed(faults.story(), skipped);
}

TEST(RandomFaults, LiarsAreNamedMisfitsRefusedAndModelsStaySound) {
    Named named;
    for (const auto seed : seeds(36)) {
        ASSERT_TRUE(run_with_liars(seed, named));
    }
    if (seeds(36).size() == 1) return;  // a single seed may have no misfit
    EXPECT_GT(named.misdeeds, 0U);
    EXPECT_GT(named.refusals, 0U);
}

TEST(RandomFaults, EverySeedThatEverFailedPasses) {
    const auto list = failed_seeds();
    ASSERT_FALSE(list.empty()) << FAILED_SEEDS;
    for (const auto seed : list) {
        EXPECT_TRUE(passes(seed));
        EXPECT_TRUE(run_on_floats(seed));
        Named named;
        EXPECT_TRUE(run_with_liars(seed, named));
    }
}

TEST(RandomFaults, ASkippedFaultDoesNotChangeTheOthers) {
    for (const auto seed : seeds(2)) {
        FaultSchedule whole(seed);
        FaultSchedule none(seed, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
        Simulation first(whole.draw_options());
        Simulation second(none.draw_options());
        for (auto* simulation : {&first, &second}) {
            simulation->swarm().start_all(1s);
            auto& faults = simulation == &first ? whole : none;
            faults.run_with_faults(*simulation, kFaultyTime);
        }
        EXPECT_EQ(whole.faults(), none.faults()) << repeat_command(seed);
    }
}

TEST(RandomFaults, SameSeedGivesTheSameRunEventForEvent) {
    for (const auto seed : seeds(3)) {
        FaultyRun first(seed, {});
        FaultyRun second(seed, {});
        EXPECT_EQ(first.simulation.swarm().trace_hash(), second.simulation.swarm().trace_hash())
            << repeat_command(seed);
    }
}

}  // namespace
}  // namespace starling::simulation
