#pragma once

// The subcommands of `starling`. Each add_* adds one subcommand with its flags to the app. If the
// user chooses it, its callback stores in `chosen` the function that main calls after parsing. So
// parsing has no side effects, and main turns every outcome into an exit code in one place.

#include <functional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "peer/machine/exit_codes.hpp"

namespace CLI {
class App;
}

namespace starling::peer {

/// Runs a subcommand and returns the exit code of the program.
using Command = std::function<int()>;

/// Makes an app without subcommands read --config. Keys that stand in no section of the file belong
/// to the command that runs.
void take_config_file(CLI::App& app);

/// Returns a path or SPEC whose `~/` at the beginning of the path stands for the home directory: no
/// shell expands it in a file, in the environment, or behind `idx:`.
[[nodiscard]] std::string expand_home(std::string text);

/// Prints a fault of a subcommand as one line on standard error and returns its exit code.
int report_fault(std::string_view command, const Fault& fault);

void add_peer(CLI::App& app, Command& chosen);
void add_swarm(CLI::App& app, Command& chosen);
void add_status(CLI::App& app, Command& chosen);
void add_leave(CLI::App& app, Command& chosen);
void add_eval(CLI::App& app, Command& chosen);
void add_predict(CLI::App& app, Command& chosen);
void add_export(CLI::App& app, Command& chosen);
void add_data(CLI::App& app, Command& chosen);
void add_bench(CLI::App& app, Command& chosen);
void add_devices(CLI::App& app, Command& chosen);
void add_simulate(CLI::App& app, Command& chosen);
void add_help(CLI::App& app, Command& chosen);

}  // namespace starling::peer
