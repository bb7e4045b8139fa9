#pragma once

// What both drivers of a scenario tell its judge, and when: of each order that was answered, at each look, and at the end.

#include <cstddef>
#include <vector>

#include "base/instant.hpp"
#include "peer/scenario/history.hpp"
#include "peer/scenario/judge.hpp"
#include "peer/scenario/plan.hpp"
#include "peer/scenario/view.hpp"

namespace starling::scenario {

/// Tells the judge whom an order that the driver has just answered hurts, or no longer does. `added` are the peers
/// that it has started.
void watch_order(
    Judge& judge,
    const Plan& plan,
    Instant now,
    const Order& order,
    const std::vector<std::size_t>& added
);

/// One look at the peers, once what was due has been done. The plan's deadlines follow the pace that the judge measures.
void watch_peers(Judge& judge, Plan& plan, Instant now, const View& view);

/// Finds fault with a run that has lasted longer than the scenario's limit. Returns whether it has.
bool watch_limit(Judge& judge, const Scenario& scenario, Instant now, Duration lasted);

/// The plan is over, or a condition was not met in time.
void watch_end(
    Judge& judge, const Plan& plan, Instant now, const View& view, const History& history
);

}  // namespace starling::scenario
