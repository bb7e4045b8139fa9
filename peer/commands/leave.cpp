#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "peer/commands/ask.hpp"
#include "peer/commands/commands.hpp"

namespace starling::peer {
namespace {

int run(const PeerAddress& address) {
    const auto peer = find_peer(with_environment(address));
    if (!peer) return report_fault("leave", peer.error());
    const auto body = ask_peer(*peer, {"POST", "/leave", ""});
    if (!body) return report_fault("leave", body.error());
    std::fputs("the peer is leaving\n", stdout);
    return kExitDone;
}

}  // namespace

void add_leave(CLI::App& app, Command& chosen) {
    auto* command = app.add_subcommand("leave", "ask a running peer to leave its swarm and stop");
    const auto address = std::make_shared<PeerAddress>();
    command->add_option("--http", address->http, "the peer's HTTP address")->type_name("HOST:PORT");
    command->add_option("--state", address->state, "the peer's state directory")
        ->type_name("DIR")
        ->transform(&expand_home);
    command->add_option("--token", address->token, "file with the token of the peer at --http")
        ->type_name("FILE")
        ->transform(&expand_home);
    command->footer("Example:\n  starling leave --state /var/lib/starling");
    command->callback([address, &chosen] { chosen = [address] { return run(*address); }; });
}

}  // namespace starling::peer
