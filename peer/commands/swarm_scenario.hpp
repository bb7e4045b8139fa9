#pragma once

// What a scenario says of its peers, as the options of the swarm command.

#include <string>

#include "base/result.hpp"
#include "peer/fleet/launch.hpp"
#include "peer/scenario/scenario.hpp"

namespace starling::peer {

/// `file` is what the file is called in messages.
/// Errors    Usage (an unknown setting of [train]; the message has its place)
[[nodiscard]] Result<void> apply_scenario(
    const scenario::Scenario& scenario, const std::string& file, SwarmOptions& options
);

/// Returns a scenario without steps for a swarm with these options. Some peers may be added to it.
[[nodiscard]] scenario::Scenario live_scenario(const SwarmOptions& options);

/// Returns a table of all verbs and whether real peers can be hit by them. `missing` says why there are no
/// networks of their own here; empty: there are.
[[nodiscard]] std::string verbs_table(const std::string& missing);

}  // namespace starling::peer
