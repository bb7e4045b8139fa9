#pragma once

// Carries out a scenario with real peers as child processes, and judges it.

#include "peer/fleet/scenario_job.hpp"

namespace starling::peer {

/// Runs the scenario. Blocks until all peers have ended. The last line says the verdict.
/// Thread    main (a child process ends when the thread that spawned it ends)
[[nodiscard]] ScenarioEnd run_scenario(const SwarmOptions& options, const ScenarioJob& job);

}  // namespace starling::peer
