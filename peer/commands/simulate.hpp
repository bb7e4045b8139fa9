#pragma once

// `starling simulate`: a virtual swarm in virtual time.

#include <CLI/CLI.hpp>
#include <functional>

namespace starling::peer {

/// Adds the subcommand. When the command line names it, `chosen` becomes what main runs; it
/// returns the exit code.
void add_simulate(CLI::App& app, std::function<int()>& chosen);

}  // namespace starling::peer
