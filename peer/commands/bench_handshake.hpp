#pragma once

#include "peer/commands/commands.hpp"

namespace CLI {
class App;
}

namespace starling::peer {

/// Adds `bench handshake`: what it costs to open streams, and to refuse them.
void add_bench_handshake(CLI::App& bench, Command& chosen);

}  // namespace starling::peer
