#pragma once

// `starling bench step`: how long one training step of a model takes, on made-up data or on a
// data set's, and which kernels take the time.

#include "peer/commands/commands.hpp"

namespace starling::peer {

void add_bench_step(CLI::App& bench, Command& chosen);

}  // namespace starling::peer
