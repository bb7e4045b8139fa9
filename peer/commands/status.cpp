#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "peer/commands/ask.hpp"
#include "peer/commands/commands.hpp"
#include "peer/commands/status_table.hpp"

namespace starling::peer {
namespace {

struct StatusFlags {
    PeerAddress address;
    bool json = false;
};

int run(const StatusFlags& flags) {
    const auto peer = find_peer(flags.address);
    if (!peer) return report_fault("status", peer.error());
    const auto body = ask_peer(*peer, {"GET", "/status", ""});
    if (!body) return report_fault("status", body.error());
    const auto text = flags.json ? status_line(*body) : status_table(*body);
    if (!text) return report_fault("status", text.error());
    std::fputs(text->c_str(), stdout);
    return kExitDone;
}

}  // namespace

void add_status(CLI::App& app, Command& chosen) {
    auto* command = app.add_subcommand("status", "show a running peer's view of the swarm");
    const auto flags = std::make_shared<StatusFlags>();
    command->add_option("--http", flags->address.http, "the peer's HTTP address")
        ->type_name("HOST:PORT");
    command->add_option("--state", flags->address.state, "the peer's state directory")
        ->type_name("DIR");
    command->add_flag("--json", flags->json, "the JSON object instead of a table");
    command->footer("Example:\n  starling status --http 127.0.0.1:8080");
    command->callback([flags, &chosen] { chosen = [flags] { return run(*flags); }; });
}

}  // namespace starling::peer
