#pragma once

// One checked run of a virtual swarm, and how a failing one is printed: seed, virtual time,
// invariant, node, and one command that repeats it.

#include <cstdint>
#include <functional>
#include <gtest/gtest.h>
#include <set>
#include <string>
#include <vector>

#include "tests/simulation/checkers.hpp"

namespace starling::simulation {

/// Returns the seeds of a test: STARLING_SIM_SEED alone when it is set, else STARLING_SIM_SEEDS or
/// `count` of them, the same ones in every run, or those after the first STARLING_SIM_FIRST ones.
[[nodiscard]] std::vector<std::uint64_t> seeds(std::size_t count);

/// Returns `0x5eed`.
[[nodiscard]] std::string hex(std::uint64_t value);

/// Returns the command that repeats the current test with one seed, without some of its strikes.
[[nodiscard]] std::string repeat_command(
    std::uint64_t seed, const std::set<std::size_t>& skipped = {}
);

/// Returns the strikes that STARLING_SIM_SKIP names, separated by commas: how a shrunk failure is
/// repeated.
[[nodiscard]] std::set<std::size_t> skipped_strikes();

/// Returns what a swarm with these options promises.
[[nodiscard]] Expectations expectations_of(const peer_virtual::SwarmOptions& options);

class Simulation {
public:
    explicit Simulation(const peer_virtual::SwarmOptions& options)
        : Simulation(options, expectations_of(options)) {}

    Simulation(const peer_virtual::SwarmOptions& options, const Expectations& expectations);

    Swarm& swarm() { return swarm_; }

    Checkers& checkers() { return checkers_; }

    /// Runs while looking at all invariants each half second. False after a violation.
    bool run_for(Duration duration);

    /// Runs until `condition` holds, looking each tenth of a second. False when it does not hold
    /// within `longest`, or after a violation.
    bool run_until(const std::function<bool()>& condition, Duration longest);

    /// Like run_until, but a miss is a violation of `invariant`.
    bool require_within(
        Duration longest, const std::string& invariant, const std::function<bool()>& condition
    );

    /// Starts all nodes and waits until each lists each.
    bool form(Duration spread = std::chrono::seconds(1));

    /// Stops the mixing, lets what is in flight end, and checks the ledgers.
    bool settle();

    /// Fails the current test when an invariant was violated. `story` says what was done.
    bool passed(const std::string& story = "", const std::set<std::size_t>& skipped = {});

private:
    std::uint64_t seed_;
    Swarm swarm_;
    Checkers checkers_;
    Expectations expectations_;
};

}  // namespace starling::simulation
