// The program `starling`. It parses the command line and runs the chosen command. Exit codes: 0
// done, 1 failed while running, 2 wrong usage or configuration.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <unistd.h>

#include "commit.hpp"
#include "peer/commands/commands.hpp"
#include "peer/commands/explain.hpp"
#include "peer/machine/descriptors.hpp"
#include "peer/machine/exit_codes.hpp"
#include "peer/machine/surroundings.hpp"

namespace {

/// How often an idle OpenMP thread looks for work before it sleeps: this takes about ten
/// microseconds. In a small step the next kernel comes within that time, and to wake a thread would
/// take as long as the kernel. It is too short to matter to others that want the core.
constexpr const char* kSpinCount = "1000";

/// Makes idle OpenMP threads sleep instead of spinning for milliseconds, because many peers share
/// few cores. OpenMP reads its environment when it is loaded, before main. So this sets the
/// environment and executes the program once more.
void let_idle_threads_sleep(char** argv) {
    if (std::getenv("OMP_WAIT_POLICY") != nullptr) return;
    if (::setenv("OMP_WAIT_POLICY", "PASSIVE", 1) != 0) return;
    (void)::setenv("GOMP_SPINCOUNT", kSpinCount, 0);
    ::execv("/proc/self/exe", argv);
    // Without /proc the program still works, but its idle threads spin longer.
}

/// Returns for instance `starling 0.1.0 (ef3676f)`, with the commit in brackets if it is known.
std::string version() {
    const std::string commit = STARLING_COMMIT;
    return std::string("starling ") + STARLING_VERSION +
           (commit.empty() ? "" : " (" + commit + ")");
}

}  // namespace

int main(int argc, char** argv) {
    let_idle_threads_sleep(argv);
    starling::peer::name_process("starling");  // the second execution is called `exe` until here
    starling::peer::open_standard_streams();
    (void)starling::peer::raise_descriptor_limit();
    CLI::App app{
        "Decentralized gossip training: peers train together without a coordinator", "starling"};
    app.set_version_flag("--version", version());
    starling::peer::take_config_file(app);
    app.require_subcommand(1);
    app.footer("Run `starling COMMAND --help` for the flags of a command and examples.");
    starling::peer::Command chosen;
    starling::peer::add_peer(app, chosen);
    starling::peer::add_swarm(app, chosen);
    starling::peer::add_status(app, chosen);
    starling::peer::add_leave(app, chosen);
    starling::peer::add_eval(app, chosen);
    starling::peer::add_predict(app, chosen);
    starling::peer::add_export(app, chosen);
    starling::peer::add_data(app, chosen);
    starling::peer::add_bench(app, chosen);
    starling::peer::add_devices(app, chosen);
    starling::peer::add_simulate(app, chosen);
    starling::peer::add_help(app, chosen);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
        std::fprintf(
            stderr,
            "starling: %s\n",
            starling::peer::explain(app, error, {argv + 1, argv + argc}).c_str()
        );
        return starling::peer::kExitUsage;
    }
    try {
        return chosen();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "starling: %s\n", error.what());
        return starling::peer::kExitFailed;
    }
}
