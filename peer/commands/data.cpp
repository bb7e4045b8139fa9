// starling data: prints what a data set contains.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <unistd.h>

#include "peer/commands/commands.hpp"
#include "peer/commands/data_view.hpp"

namespace starling::peer {

namespace {

struct Flags {
    std::string spec;
    bool json = false;
};

/// Prints how far reading is, where a person looks.
void print_progress(const std::string& line) {
    if (::isatty(STDERR_FILENO) != 0) std::fputs(("starling: " + line + "\n").c_str(), stderr);
}

int inspect(const Flags& flags) {
    const auto data = cut_for_swarm(flags.spec, "", {}, &print_progress);
    if (data.has_error()) {
        return report_fault("data", as_usage(missing_is_usage(data.error())));
    }
    if (!flags.json && ::isatty(STDOUT_FILENO) != 0) {
        std::fputs(data_page(*data).c_str(), stdout);
        return kExitDone;
    }
    // A text may contain escape sequences for a terminal. JSON escapes control characters, and we
    // let it escape everything that is not ASCII.
    std::puts(data_facts(*data).dump(-1, ' ', true).c_str());
    return kExitDone;
}

}  // namespace

void add_data(CLI::App& app, Command& chosen) {
    auto* command = app.add_subcommand("data", "Inspect data sets");
    command->require_subcommand(1);
    auto* look = command->add_subcommand(
        "inspect", "Print sizes, shape and classes, and on a terminal some samples"
    );
    auto flags = std::make_shared<Flags>();
    look->add_flag("--json", flags->json, "One JSON object, as without a terminal");
    look->add_option("SPEC", flags->spec, "Data set, as in --dataset")
        ->required()
        ->transform(&expand_home);
    look->footer("Example:\n  starling data inspect idx:/usr/share/datasets/fashion-mnist");
    look->callback([flags, &chosen] { chosen = [flags] { return inspect(*flags); }; });
}

}  // namespace starling::peer
