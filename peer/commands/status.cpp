#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <memory>
#include <thread>
#include <unistd.h>

#include "base/printable.hpp"
#include "peer/commands/ask.hpp"
#include "peer/commands/commands.hpp"
#include "peer/commands/status_table.hpp"
#include "peer/machine/running.hpp"

namespace starling::peer {
namespace {

constexpr auto kWatchPeriod = std::chrono::seconds(1);

struct StatusFlags {
    PeerAddress address;
    bool json = false;
    bool watch = false;
};

/// Lists the peers among which the user has to choose.
void print_peers(const std::vector<RunningPeer>& peers) {
    std::string text = std::to_string(peers.size()) + " peers of yours run; ask one of them:\n";
    for (const auto& peer : peers) {
        text += "  starling status --http " + peer.http + "   # " + peer.id.substr(0, 8) +
                (peer.state.empty() ? "" : ", --state " + printable(peer.state)) + "\n";
    }
    std::fputs(text.c_str(), stdout);
}

int ask(const ServingPlace& peer, const StatusFlags& flags) {
    const auto body = ask_peer(peer, {"GET", "/status", ""});
    if (!body) return report_fault("status", body.error());
    const auto text = flags.json ? status_line(*body) : status_table(*body);
    if (!text) return report_fault("status", text.error());
    const bool clears = flags.watch && !flags.json && ::isatty(STDOUT_FILENO) == 1;
    std::fputs(((clears ? "\x1b[H\x1b[J" : "") + *text).c_str(), stdout);
    std::fflush(stdout);
    return kExitDone;
}

int watch(const ServingPlace& peer, const StatusFlags& flags) {
    while (true) {
        const int code = ask(peer, flags);
        if (code != kExitDone || !flags.watch) return code;
        std::this_thread::sleep_for(kWatchPeriod);
    }
}

int run(StatusFlags flags) {
    flags.address = with_environment(flags.address);
    if (flags.address.http.empty() && flags.address.state.empty()) {
        const auto peers = running_peers();
        if (peers.empty()) {
            const auto* line = "no peer of yours runs here; give --http HOST:PORT of another one";
            return report_fault("status", fail(FaultCode::NotFound, line));
        }
        if (peers.size() > 1) {
            print_peers(peers);
            return kExitDone;
        }
        const auto http = Endpoint::parse(peers.front().http);
        if (!http) return report_fault("status", http.error());
        return watch({*http, peers.front().life, peers.front().token}, flags);
    }
    const auto peer = find_peer(flags.address);
    if (!peer) return report_fault("status", peer.error());
    return watch(*peer, flags);
}

}  // namespace

void add_status(CLI::App& app, Command& chosen) {
    auto* command = app.add_subcommand("status", "show a running peer's view of the swarm");
    const auto flags = std::make_shared<StatusFlags>();
    command
        ->add_option("--http", flags->address.http, "the peer's HTTP address (your only peer here)")
        ->type_name("HOST:PORT");
    command->add_option("--state", flags->address.state, "the peer's state directory")
        ->type_name("DIR")
        ->transform(&expand_home);
    command
        ->add_option(
            "--token", flags->address.token, "file with the token of the peer at --http, elsewhere"
        )
        ->type_name("FILE")
        ->transform(&expand_home);
    command->add_flag("--json", flags->json, "the JSON object instead of a table");
    command->add_flag("--watch", flags->watch, "again each second, until the peer has gone");
    command->footer(
        "Examples:\n  starling status                             the peer that you run here, or a "
        "list\n  starling status --http 127.0.0.1:8080"
    );
    command->callback([flags, &chosen] { chosen = [flags] { return run(*flags); }; });
}

}  // namespace starling::peer
