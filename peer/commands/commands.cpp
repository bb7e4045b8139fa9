#include "peer/commands/commands.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <unistd.h>

#include "base/printable.hpp"
#include "peer/machine/surroundings.hpp"

namespace starling::peer {

void take_config_file(CLI::App& app) {
    // A misspelt key must be an error. This comes before the subcommands, which inherit it.
    app.allow_config_extras(CLI::config_extras_mode::error);
    app.set_config("--config", "", "TOML file with a [section] per command; flags win over it");
    app.fallthrough();
}

int report_fault(std::string_view command, const Fault& fault) {
    if (can_write(STDERR_FILENO))
        std::fputs(
            ("starling " + std::string(command) + ": " + printable(fault.message) + "\n").c_str(),
            stderr
        );
    return exit_code_of(fault.code);
}

}  // namespace starling::peer
