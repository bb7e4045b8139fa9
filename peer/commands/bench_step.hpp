#pragma once

// `starling bench step`: one training step of a named model on made-up data, and where its time
// goes.

#include "peer/commands/commands.hpp"

namespace starling::peer {

void add_bench_step(CLI::App& bench, Command& chosen);

}  // namespace starling::peer
