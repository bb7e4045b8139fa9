// starling peer: runs one peer, which founds, joins or resumes a swarm.

#include <CLI/CLI.hpp>
#include <memory>

#include "peer/commands/commands.hpp"
#include "peer/commands/founder_flags.hpp"
#include "peer/commands/training_flags.hpp"
#include "peer/machine/cores.hpp"
#include "peer/node/node.hpp"
#include "peer/terms/config.hpp"

namespace starling::peer {

namespace {

int complain(const Fault& fault) {
    return report_fault("peer", fault);
}

int run_peer(PeerConfig config, const std::string& run_for) {
    if (!run_for.empty()) {
        const auto duration = parse_duration(run_for);
        if (duration.has_error())
            return complain(fail(FaultCode::Usage, "--for: " + duration.error().message));
        config.run_for = *duration;
    }
    if (config.threads == 0) {
        config.threads = static_cast<int>(core_count());
    }
    if (const auto ok = validate(config); ok.has_error()) return complain(ok.error());
    Node node(std::move(config));
    const auto ended = node.run();
    return ended.has_error() ? complain(ended.error()) : kExitDone;
}

}  // namespace

void add_peer(CLI::App& app, Command& chosen) {
    auto* command = app.add_subcommand("peer", "Run one peer: found a swarm, or join one");
    auto config = std::make_shared<PeerConfig>();
    auto run_for = std::make_shared<std::string>();
    add_training_flags(*command, *config);
    command->add_option(
        "--state",
        config->state,
        "Directory for identity and checkpoints; a restart with it resumes"
    );
    command->add_option("--listen", config->listen, "Where to listen, TCP and UDP (port 0: any)")
        ->capture_default_str();
    command->add_option(
        "--advertise", config->advertise, "Address that others dial, when it differs from --listen"
    );
    command->add_option("--http", config->http, "Where /status, /metrics and /healthz are served")
        ->capture_default_str();
    command
        ->add_option(
            "--join",
            config->join,
            "Addresses of members, HOST:PORT[,...]; nothing else is needed to join"
        )
        ->delimiter(',');
    command->add_option(
        "--key",
        config->key,
        "File with the swarm's key, or - for standard input; a founder with --state makes "
        "swarm.key there"
    );
    command
        ->add_option(
            "--profile",
            config->profile,
            "Membership's timing, the same for all peers of a swarm: lan, wan or local"
        )
        ->capture_default_str();
    command->add_option("--for", *run_for, "Leave after this long: 90s, 5m, 2h");
    command->add_flag("--membership-only", config->membership_only, "Be a member, train nothing");
    command->add_flag(
        "--insecure",
        config->insecure,
        "Listen beyond loopback although streams are not encrypted yet"
    );
    command->add_flag("--json", config->json, "Print one JSON object a line");
    command->footer(
        "Examples:\n"
        "  starling peer --dataset idx:/usr/share/datasets/fashion-mnist --model cnn --until "
        "accuracy=0.9\n"
        "  starling peer --join 127.0.0.1:7300\n"
        "  starling peer --state ~/.starling        resume where it stopped"
    );
    command->callback([command, config, run_for, &chosen] {
        for (const auto& flag : founder_flags()) {
            if (command->get_option(flag.name)->count() == 0) continue;
            config->founder_flags += (config->founder_flags.empty() ? "" : ", ");
            config->founder_flags += flag.name;
        }
        config->seed_given = command->get_option("--seed")->count() > 0;
        chosen = [config, run_for] { return run_peer(*config, *run_for); };
    });
}

}  // namespace starling::peer
