#pragma once

// The flags that `peer` and `swarm` share. They are in one place, so that they stay equal.

#include "peer/terms/config.hpp"

namespace CLI {
class App;
}

namespace starling::peer {

/// Adds --dataset, --threads and the like, and all flags by which a founder decides.
void add_training_flags(CLI::App& command, PeerConfig& config);

}  // namespace starling::peer
