#pragma once

// The flags that `peer` and others share, in one place so that they never drift apart.

#include "peer/terms/config.hpp"

namespace CLI {
class App;
}

namespace starling::peer {

/// Adds --dataset, --model, --optimizer and the rest of what a founder decides.
void add_training_flags(CLI::App& command, PeerConfig& config);

}  // namespace starling::peer
