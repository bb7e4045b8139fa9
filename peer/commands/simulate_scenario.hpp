#pragma once

// Runs a scenario in virtual time and prints its verdict.

#include <string>

#include "peer/commands/scenario_file.hpp"
#include "peer/virtual/swarm.hpp"

namespace starling::peer {

/// Blocks until the run is over. Returns the exit code: 0 if the run was clean, 1 if there are
/// findings, 2 if no report can be written to the folder.
[[nodiscard]] int simulate_scenario(
    const ScenarioFile& file,
    const peer_virtual::SwarmOptions& options,
    const std::string& report,
    bool json
);

/// Runs the scenario with `count` seeds, the file's first, and says how many were clean. Findings are printed with their
/// seed. Returns the exit code.
[[nodiscard]] int simulate_seeds(
    const ScenarioFile& file,
    const peer_virtual::SwarmOptions& options,
    std::size_t count,
    bool json
);

}  // namespace starling::peer
