#pragma once

// One checked run of a virtual swarm. A run that fails prints its seed, the virtual time, the
// invariant, the node, and one command that repeats the run.

#include <cstdint>
#include <functional>
#include <gtest/gtest.h>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/simulation/checkers.hpp"

namespace starling::simulation {

/// Returns the seeds of a test. If STARLING_SIM_SEED is set, this is the only one. Otherwise there
/// are STARLING_SIM_SEEDS or `count` seeds, the same ones in every run. STARLING_SIM_FIRST is how
/// many seeds of the list are left out at its beginning.
[[nodiscard]] std::vector<std::uint64_t> seeds(std::size_t count);

/// Returns the value in hexadecimal, for instance `0x5eed`.
[[nodiscard]] std::string hex(std::uint64_t value);

/// Returns the command that repeats the current test with one seed and without the skipped faults.
[[nodiscard]] std::string repeat_command(
    std::uint64_t seed, const std::set<std::size_t>& skipped = {}
);

/// Returns the numbers of the faults to skip, which STARLING_SIM_SKIP lists separated by commas. So
/// one repeats a failure that was shrunk.
[[nodiscard]] std::set<std::size_t> skipped_faults();

/// Returns what the checkers expect of a swarm with these options.
[[nodiscard]] Expectations expectations_of(const peer_virtual::SwarmOptions& options);

class Simulation {
public:
    explicit Simulation(const peer_virtual::SwarmOptions& options)
        : Simulation(options, expectations_of(options)) {}

    Simulation(const peer_virtual::SwarmOptions& options, const Expectations& expectations);

    Swarm& swarm() { return swarm_; }

    Checkers& checkers() { return checkers_; }

    /// Calls `look` as well whenever the invariants are checked.
    void also_look(std::function<void()> look) { also_look_ = std::move(look); }

    /// Runs and checks all invariants every half second of virtual time. Returns false after a
    /// violation.
    bool run_for(Duration duration);

    /// Runs until `condition` holds, which it tests every tenth of a second of virtual time.
    /// Returns false if the condition does not hold within `longest`, or after a violation.
    bool run_until(const std::function<bool()>& condition, Duration longest);

    /// Like run_until(), but reports a violation of `invariant` if the condition does not hold in
    /// time.
    bool require_within(
        Duration longest, const std::string& invariant, const std::function<bool()>& condition
    );

    /// Starts all nodes and runs until each lists all, at most 60 s of virtual time.
    bool form(Duration spread = std::chrono::seconds(1));

    /// Stops mixing and training, runs until all exchanges have ended, and checks the ledgers.
    bool finish_exchanges();

    /// Fails the current test if an invariant was violated. `story` says what was done to the
    /// swarm.
    bool passed(const std::string& story = "", const std::set<std::size_t>& skipped = {});

private:
    std::uint64_t seed_;
    Swarm swarm_;
    Checkers checkers_;
    Expectations expectations_;
    std::function<void()> also_look_;
};

}  // namespace starling::simulation
