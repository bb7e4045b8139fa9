#pragma once

// Carries out a scenario with real peers as child processes on loopback, and judges it.

#include <functional>
#include <vector>

#include "base/result.hpp"
#include "peer/fleet/launch.hpp"
#include "peer/scenario/report.hpp"
#include "peer/terms/until.hpp"

namespace starling::peer {

struct ScenarioJob {
    scenario::Scenario scenario;
    std::vector<scenario::Step> steps;  ///< from scenario::expand()
    Until target;
    /// Gets the run before its verdict is printed, to write reports.
    std::function<Result<void>(const scenario::Run&)> report;
};

/// Runs the scenario. Blocks until all peers have ended. Returns 0 if the run was clean, 1 if there are
/// findings, and 2 if the founder refuses its configuration. The last line says the verdict.
/// Thread    main (a child process ends when the thread that spawned it ends)
[[nodiscard]] int run_scenario(const SwarmOptions& options, const ScenarioJob& job);

}  // namespace starling::peer
