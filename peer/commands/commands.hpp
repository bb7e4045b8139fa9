#pragma once

// The subcommands of `starling`. Each add_* declares one subcommand with its flags on the app; when
// the user chose it, its callback stores into `chosen` what main runs after parsing. Parsing thus
// stays free of side effects, and main maps what happened to an exit code in one place.

#include <functional>
#include <string_view>

#include "base/result.hpp"
#include "peer/exit_codes.hpp"

namespace CLI {
class App;
}

namespace starling::peer {

/// Runs a subcommand and returns the exit code of the program.
using Command = std::function<int()>;

/// Prints a fault of a subcommand as one line on standard error and returns its exit code.
int report_fault(std::string_view command, const Fault& fault);

void add_peer(CLI::App& app, Command& chosen);
void add_swarm(CLI::App& app, Command& chosen);
void add_status(CLI::App& app, Command& chosen);
void add_leave(CLI::App& app, Command& chosen);
void add_eval(CLI::App& app, Command& chosen);
void add_export(CLI::App& app, Command& chosen);
void add_data(CLI::App& app, Command& chosen);
void add_bench(CLI::App& app, Command& chosen);
void add_simulate(CLI::App& app, Command& chosen);

}  // namespace starling::peer
