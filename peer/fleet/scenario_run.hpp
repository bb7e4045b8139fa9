#pragma once

// Carries out a scenario with real peers as child processes, and judges it.

#include <functional>
#include <vector>

#include "base/result.hpp"
#include "peer/fleet/launch.hpp"
#include "peer/fleet/scenario_peers.hpp"
#include "peer/scenario/report.hpp"
#include "peer/terms/until.hpp"

namespace starling::peer {

struct ScenarioJob {
    scenario::Scenario scenario;
    std::vector<scenario::Step> steps;  ///< from scenario::expand()
    bool live = false;                  ///< steps come from standard input (LiveControl)
    Surroundings surroundings;
    Until target;
    /// Gets the run before its verdict is printed, to write reports.
    std::function<Result<void>(const scenario::Run&)> report;
};

struct ScenarioEnd {
    int code = 0;  ///< 0: clean; 1: there are findings; 2: the founder refuses its configuration
    bool interrupted = false;  ///< a signal has ended it
};

/// Runs the scenario. Blocks until all peers have ended. The last line says the verdict.
/// Thread    main (a child process ends when the thread that spawned it ends)
[[nodiscard]] ScenarioEnd run_scenario(const SwarmOptions& options, const ScenarioJob& job);

}  // namespace starling::peer
