#pragma once

// `starling bench exchange`: how fast two processes average, over loopback or between two machines.
// It uses the same streams, averager and store as a peer.

#include "peer/commands/commands.hpp"

namespace starling::peer {

void add_bench_exchange(CLI::App& bench, Command& chosen);

}  // namespace starling::peer
