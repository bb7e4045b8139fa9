#pragma once

// Runs a swarm of real peers as child processes, from the first spawn to the summary.

#include "peer/swarm/launch.hpp"
#include "peer/swarm/outcome.hpp"

namespace starling::peer {

/// Runs the swarm and returns the exit code; one line on stderr says why it is not 0.
/// Thread    blocks; must be the main thread (children end when the thread that spawned them does)
[[nodiscard]] int run_swarm(const SwarmOptions& options, const Until& target);

}  // namespace starling::peer
