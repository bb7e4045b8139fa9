#include "peer/commands/peer_flags.hpp"

#include <CLI/CLI.hpp>

#include "peer/commands/commands.hpp"
#include "peer/commands/founder_flags.hpp"
#include "peer/commands/training_flags.hpp"
#include "peer/machine/cores.hpp"

namespace starling::peer {

namespace {

void add_state_flags(CLI::App& command, PeerConfig& config) {
    command
        .add_option(
            "--state",
            config.state,
            "Directory for identity and checkpoints; a restart with it resumes"
        )
        ->transform(&expand_home)
        ->envname("STARLING_STATE");
    command
        .add_option(
            "--checkpoint-every",
            config.checkpoint_every,
            "How often a checkpoint is written to --state, beside the steps: 10s, 5m"
        )
        ->capture_default_str();
    command.add_option(
        "--cache",
        config.cache,
        "How much of the data is kept on this disk besides this peer's own part, such as 10GB: "
        "then what "
        "was used longest ago goes, once others have shown that they hold it (no limit)"
    );
    command
        .add_option("--keep", config.keep, "How many checkpoints --state keeps, with the newest")
        ->capture_default_str();
}

}  // namespace

void add_peer_flags(CLI::App& command, PeerConfig& config, std::string& run_for) {
    add_training_flags(command, config);
    command.add_option(
        "--name", config.name, "What people call this peer, such as kitchen-pc; others see it, too"
    );
    add_state_flags(command, config);
    command.add_option(
        "--listen",
        config.listen,
        "Where to listen, TCP and UDP (port 0: any). Loopback gives way to an address that the "
        "other machine can dial when a seed is on one. By default all addresses for who holds "
        "a swarm's key, which its founder makes with --state, and 127.0.0.1 otherwise"
    );
    command.add_option(
        "--advertise", config.advertise, "Address that others dial, when it differs from --listen"
    );
    command.add_option("--http", config.http, "Where /status, /metrics and /healthz are served")
        ->capture_default_str()
        ->envname("STARLING_HTTP");
    command
        .add_option(
            "--http-name",
            config.http_names,
            "Names under which --http is asked, where it is not an address or localhost: NAME[,...]"
        )
        ->delimiter(',');
    command
        .add_option(
            "--join",
            config.join,
            "Addresses of members, HOST:PORT[,...]; the swarm's key comes with --key, all else "
            "comes from the swarm"
        )
        ->delimiter(',');
    command
        .add_option(
            "--key",
            config.key,
            "File with the swarm's key, or - for standard input; a founder with --state makes "
            "swarm.key there"
        )
        ->transform(&expand_home)
        ->envname("STARLING_KEY");
    command
        .add_option(
            "--profile",
            config.profile,
            "Membership's timing, the same for all peers of a swarm: lan, wan or local"
        )
        ->capture_default_str();
    command.add_option("--for", run_for, "Leave after this long: 90s, 5m, 2h");
    command.add_flag("--membership-only", config.membership_only, "Be a member, train nothing");
    command.add_flag("--json", config.json, "Print one JSON object a line");
}

Result<void> complete_config(
    const CLI::App& command, const std::string& run_for, PeerConfig& config
) {
    for (const auto& flag : founder_flags()) {
        if (command.get_option(flag.name)->count() == 0) continue;
        config.founder_flags += (config.founder_flags.empty() ? "" : ", ");
        config.founder_flags += flag.name;
    }
    config.seed_given = command.get_option("--seed")->count() > 0;
    if (!run_for.empty()) {
        const auto duration = parse_duration(run_for);
        if (duration.has_error()) {
            return fail(FaultCode::Usage, "--for: " + duration.error().message);
        }
        config.run_for = *duration;
    }
    if (config.threads == 0) config.threads = static_cast<int>(core_count());
    return {};
}

}  // namespace starling::peer
