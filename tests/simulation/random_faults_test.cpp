// Goal: no combination of faults breaks an invariant, and once the faults end the swarm is whole
// and meets.
// Method: for each seed a random swarm under random faults (safety phase), then everything healed
// (liveness phase), as TigerBeetle's simulator does. STARLING_SIM_SEEDS sets how many seeds,
// STARLING_SIM_FIRST where they begin, STARLING_SIM_SEED repeats one, STARLING_SIM_SKIP leaves
// strikes out of it.

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

constexpr Duration kTorment = 90s;
constexpr Duration kWholeWithin = 120s;
constexpr Duration kMeetWithin = 240s;

/// Simulations that one failure may cost while it is made smaller.
constexpr int kShrinkMax = 200;

using Strikes = std::set<std::size_t>;

/// A swarm forms, suffers, and is whole again once everything is healed.
void endure(Simulation& simulation, FaultSchedule& faults) {
    simulation.swarm().start_all(1s);
    simulation.run_for(5s);
    faults.torment(simulation, kTorment);
    faults.heal(simulation);
    simulation.require_within(kWholeWithin, "S3 whole after the heal", [&] {
        return simulation.swarm().whole();
    });
}

/// One run under the faults of a seed, without the strikes to skip.
struct Torment {
    Torment(std::uint64_t seed, const Strikes& skipped)
        : faults(seed, skipped),
          simulation(faults.draw_options()) {
        auto& swarm = simulation.swarm();
        faults.prepare(swarm);
        endure(simulation, faults);
        // Local steps end, mixing goes on: what differs now must vanish.
        swarm.stop_training();
        simulation.require_within(kMeetWithin, "A4 all meet after the heal", [&] {
            return swarm.spread() <= 1;
        });
        simulation.settle();
    }

    /// The invariant that did not hold, empty if all did.
    std::string violated() {
        const auto& violation = simulation.checkers().violation();
        return violation ? violation->invariant : "";
    }

    FaultSchedule faults;
    Simulation simulation;
};

/// Leaves out as many strikes as it can, chunks first and then one by one, such that the same
/// invariant still fails (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing
/// Input", 2002).
Strikes shrink(std::uint64_t seed, Strikes skipped, std::size_t strikes, const std::string& what) {
    int runs = 0;
    for (std::size_t chunk = std::max<std::size_t>(1, strikes / 2);; chunk = (chunk + 1) / 2) {
        for (std::size_t begin = 0; begin < strikes && runs < kShrinkMax; begin += chunk) {
            auto more = skipped;
            for (auto i = begin; i < std::min(begin + chunk, strikes); ++i) more.insert(i);
            if (more == skipped) continue;
            ++runs;
            if (Torment(seed, more).violated() == what) skipped = more;
        }
        if (chunk == 1 || runs >= kShrinkMax) return skipped;
    }
}

/// Runs one seed; a failure is made smaller before it is told.
bool passes(std::uint64_t seed) {
    auto skipped = skipped_strikes();
    Torment run(seed, skipped);
    const auto what = run.violated();
    if (what.empty()) return true;
    if (!skipped.empty()) return run.simulation.passed(run.faults.story(), skipped);
    skipped = shrink(seed, skipped, run.faults.strikes(), what);
    Torment smaller(seed, skipped);
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
    for (const auto seed : seeds(200)) {
        ASSERT_TRUE(passes(seed));
    }
}

/// Returns the spread, in thousandths, at which peers have met. A lattice's steps are no finer than
/// what bf16 cannot see of the values, and the steps of two partners add up.
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

/// What every rule promises under all faults: exchanges end (A4), our machines take what our
/// machines send (A7), values stay finite, weights stay weights; and afterwards the swarm meets
/// (A3).
bool run_on_floats(std::uint64_t seed) {
    const auto skipped = skipped_strikes();
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
    simulation.settle();
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
    // Each crash takes mass along and each promotion brings some; it never runs out.
    if (total < 0.1) simulation.checkers().report("A1 mass is left", 0, std::to_string(total));
    return simulation.passed(faults.story(), skipped);
}

TEST(RandomFaults, EveryRuleStaysSafeUnderThemAndConvergesAfterwards) {
    for (const auto seed : seeds(60)) {
        ASSERT_TRUE(run_on_floats(seed));
    }
}

/// How often each node was chosen as a partner.
class Choices final : public peer_virtual::Observer {
public:
    explicit Choices(Swarm& swarm) : swarm_(swarm), chosen_(swarm.size(), 0) {
        swarm.observe(*this);
    }

    void on_exchange(Instant, NodeIndex, const gossip::ExchangeEvent& event) override {
        if (event.initiator) ++chosen_[swarm_.index(event.partner)];
    }

    /// The running node that was chosen least, and how often on average any was.
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
    for (const auto seed : seeds(40)) {
        const auto skipped = skipped_strikes();
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

/// Whatever some of its members say, the honest ones' models stay sound (A7), who lies is named, a
/// member of another layout trades no chunk (A10), and when the lies end the honest meet.
bool run_with_liars(std::uint64_t seed, Named& named) {
    const auto skipped = skipped_strikes();
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
    simulation.settle();
    named.misdeeds += simulation.checkers().misdeeds();
    named.refusals += simulation.checkers().refusals();
    return simulation.passed(faults.story(), skipped);
}

TEST(RandomFaults, LiarsAreNamedStrangersRefusedAndModelsStaySound) {
    Named named;
    for (const auto seed : seeds(60)) {
        ASSERT_TRUE(run_with_liars(seed, named));
    }
    if (seeds(60).size() == 1) return;  // this one may have no stranger
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

TEST(RandomFaults, ASkippedStrikeLeavesTheOthersWhatTheyAre) {
    for (const auto seed : seeds(2)) {
        FaultSchedule whole(seed);
        FaultSchedule none(seed, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
        Simulation first(whole.draw_options());
        Simulation second(none.draw_options());
        for (auto* simulation : {&first, &second}) {
            simulation->swarm().start_all(1s);
            auto& faults = simulation == &first ? whole : none;
            faults.torment(*simulation, kTorment);
        }
        EXPECT_EQ(whole.strikes(), none.strikes()) << repeat_command(seed);
    }
}

TEST(RandomFaults, SameSeedGivesTheSameRunEventForEvent) {
    for (const auto seed : seeds(3)) {
        Torment first(seed, {});
        Torment second(seed, {});
        EXPECT_EQ(first.simulation.swarm().trace_hash(), second.simulation.swarm().trace_hash())
            << repeat_command(seed);
    }
}

}  // namespace
}  // namespace starling::simulation
