#include "tests/simulation/simulation.hpp"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "base/rng.hpp"

namespace starling::simulation {

namespace {

constexpr Duration kLook = std::chrono::milliseconds(500);
constexpr Duration kLookClosely = std::chrono::milliseconds(100);

std::optional<std::uint64_t> environment_number(const char* name) {
    const char* text = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): before any thread
    if (text == nullptr || *text == '\0') return std::nullopt;
    return std::strtoull(text, nullptr, 0);
}

}  // namespace

std::vector<std::uint64_t> seeds(std::size_t count) {
    if (const auto one = environment_number("STARLING_SIM_SEED")) return {*one};
    const auto wanted = environment_number("STARLING_SIM_SEEDS").value_or(count);
    std::vector<std::uint64_t> list;
    const auto first = environment_number("STARLING_SIM_FIRST").value_or(0);
    for (std::uint64_t i = first; i < first + wanted; ++i) list.push_back(mix64(i) >> 16U);
    return list;
}

std::string hex(std::uint64_t value) {
    char text[24];
    std::snprintf(text, sizeof text, "0x%" PRIx64, value);
    return text;
}

std::string repeat_command(std::uint64_t seed, const std::set<std::size_t>& skipped) {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    std::string command = "scripts/dev simulate --seed " + hex(seed) + " --test " +
                          test->test_suite_name() + "." + test->name();
    std::string list;
    for (const auto fault : skipped) list += (list.empty() ? "" : ",") + std::to_string(fault);
    if (!list.empty()) command += " --skip " + list;
    return command;
}

std::set<std::size_t> skipped_faults() {
    std::set<std::size_t> faults;
    const char* text = std::getenv("STARLING_SIM_SKIP");  // NOLINT(concurrency-mt-unsafe): as above
    std::istringstream list(text == nullptr ? "" : text);
    std::string number;
    while (std::getline(list, number, ',')) faults.insert(std::stoul(number));
    return faults;
}

Expectations expectations_of(const peer_virtual::SwarmOptions& options) {
    Expectations expectations;
    if (!options.averaging) return expectations;
    const auto& averaging = *options.averaging;
    expectations.allow_divergence = options.training && options.training->diverge > 0.0;
    expectations.allow_rejected = averaging.replay > 0.0 || averaging.liars > 0;
    // Noloco sends two payloads a chunk. 16 bytes are enough for a weight and a scale.
    const auto payloads = averaging.config.mix.rule == gossip::Rule::Noloco ? 2U : 1U;
    const auto chunk = averaging.floats ? payloads * averaging.floats->elements * sizeof(float) + 16
                                        : (averaging.shape.elements + 1) * sizeof(std::int64_t);
    expectations.held_max = 2 * std::max(averaging.config.window_bytes, chunk);
    // A node keeps what a liar sends, up to the largest possible window.
    if (averaging.liars > 0) expectations.held_max += gossip::kWindowMax;
    return expectations;
}

Simulation::Simulation(const peer_virtual::SwarmOptions& options, const Expectations& expectations)
    : seed_(options.seed),
      swarm_(options),
      checkers_(swarm_, expectations),
      expectations_(expectations) {}

bool Simulation::run_for(Duration duration) {
    const auto end = swarm_.now() + duration;
    while (swarm_.now() < end && !checkers_.violation()) {
        if (!swarm_.run_until(std::min(end, swarm_.now() + kLook))) {
            checkers_.report("time goes on", 0, "the swarm spins at one instant");
        }
        checkers_.look();
        if (also_look_) also_look_();
    }
    return !checkers_.violation();
}

bool Simulation::run_until(const std::function<bool()>& condition, Duration longest) {
    const auto end = swarm_.now() + longest;
    while (!condition()) {
        if (swarm_.now() >= end || !run_for(kLookClosely)) return false;
    }
    return true;
}

bool Simulation::require_within(
    Duration longest, const std::string& invariant, const std::function<bool()>& condition
) {
    if (run_until(condition, longest)) return true;
    checkers_.report(invariant, 0, "not within " + std::to_string(to_seconds(longest)) + " s");
    return false;
}

bool Simulation::form(Duration spread) {
    swarm_.start_all(spread);
    return require_within(std::chrono::seconds(60), "S3 a new swarm becomes whole", [&] {
        return swarm_.whole();
    });
}

bool Simulation::finish_exchanges() {
    swarm_.quiesce();
    if (!run_for(expectations_.exchange_max + std::chrono::seconds(5))) return false;
    checkers_.check_ledger();
    return !checkers_.violation();
}

bool Simulation::passed(const std::string& story, const std::set<std::size_t>& skipped) {
    const auto& violation = checkers_.violation();
    if (!violation) return true;
    ADD_FAILURE() << "seed " << hex(seed_) << ", virtual time "
                  << to_seconds(violation->at.time_since_epoch()) << " s, node " << violation->node
                  << ": " << violation->invariant << ": " << violation->detail
                  << (story.empty() ? "" : "\n") << story
                  << "\nrepeat: " << repeat_command(seed_, skipped);
    return false;
}

}  // namespace starling::simulation
