#pragma once

// What one run of a scenario with real peers is to do, and how it ended.

#include <functional>
#include <optional>
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
    bool plain = false;                 ///< no verdict on how it went, only on how the peers ended
    Surroundings surroundings;
    Until target;
    /// Gets the run before its verdict is printed, to write reports.
    std::function<Result<void>(const scenario::Run&)> report;
};

struct ScenarioEnd {
    int code = 0;  ///< 0: clean; 1: there are findings; 2: the founder refuses its configuration
    bool interrupted = false;          ///< a signal has ended it
    std::optional<double> accuracy{};  ///< mean of the survivors, on the whole test set
};

}  // namespace starling::peer
