#pragma once

// Runs a swarm of real peers as child processes, from the first spawn to the summary.

#include "peer/fleet/launch.hpp"
#include "peer/terms/until.hpp"

namespace starling::peer {

/// Runs the swarm. Blocks until all peers have ended, and returns the exit code. If that is not 0,
/// one line on stderr says why.
/// Thread    main (a child process ends when the thread that spawned it ends)
[[nodiscard]] int run_swarm(const SwarmOptions& options, const Until& target);

}  // namespace starling::peer
