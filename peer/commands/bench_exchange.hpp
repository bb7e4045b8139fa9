#pragma once

// `starling bench exchange`: how fast two processes average over loopback, through the very
// streams, machine and store of a peer.

#include "peer/commands/commands.hpp"

namespace starling::peer {

void add_bench_exchange(CLI::App& bench, Command& chosen);

}  // namespace starling::peer
