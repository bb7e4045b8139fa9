#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/printable.hpp"
#include "data/partition.hpp"
#include "peer/commands/commands.hpp"
#include "peer/commands/founder_flags.hpp"
#include "peer/commands/swarm_flags.hpp"
#include "peer/commands/training_flags.hpp"
#include "peer/fleet/scenario_run.hpp"
#include "peer/machine/exit_codes.hpp"
#include "peer/scenario/built_in.hpp"
#include "peer/scenario/schedule.hpp"
#include "peer/terms/data_set.hpp"
#include "peer/terms/until.hpp"

namespace starling::peer {
namespace {

constexpr std::size_t kPeersMax = 256;

constexpr const char* kExamples =
    "Examples:\n"
    "  starling swarm --peers 2 --dataset idx:data/samples --model mlp --until samples=200000\n"
    "  starling swarm --peers 4 --dataset idx:/usr/share/datasets/fashion-mnist --model cnn "
    "\\\n"
    "      --until accuracy=0.9 --chaos founder-crash,late-join\n"
    "  starling swarm --scenario scripts/scenarios/founder-dies.toml\n"
    "data/samples is in Starling's repository, the other in Debian's dataset-fashion-mnist.";

/// Divides the data among the peers of a private swarm before it starts: each brings a part of its own.
/// Errors    those of cut_into_folder
Result<void> cut_parts(SwarmOptions& options, TemporaryFolder& folder) {
    std::string wanted = "iid";
    std::erase_if(options.founder_flags, [&](const auto& flag) {
        if (flag.first == "--partition") wanted = flag.second;
        return flag.first == "--partition";
    });
    const auto partition = data::Partition::parse(for_all_peers(wanted, options.peers));
    if (!partition) return partition.error();
    auto path = folder.make();
    if (!path) return path.error();
    std::vector<std::string> notes;
    const auto into = *path / "parts";
    if (auto cut = cut_into_folder(options.dataset, into, *partition, notes); !cut) {
        return cut.error();
    }
    for (const auto& note : notes) {
        std::fputs(("starling: " + printable(note) + "\n").c_str(), stderr);
    }
    options.dataset = "shards:" + into.string();
    return {};
}

int run(SwarmFlags flags) {
    if (flags.can) return tell_what_can_be_done();
    if (flags.scenario == kStandardInput) return run_live(std::move(flags));
    if (!flags.scenario.empty()) return run_scenario_file(std::move(flags));
    if (!flags.soak.empty()) return run_soak(std::move(flags));
    if (!flags.report.empty()) return swarm_usage_error("--report is of --scenario and --soak");
    auto& options = flags.options;
    auto chaos = scenario::built_in(flags.chaos, options.peers);
    if (!chaos) return swarm_usage_error(chaos.error().message);
    const auto target = Until::parse(options.until);
    if (!target) return report_fault("swarm", target.error());
    take_founder_values(flags);
    TemporaryFolder parts;
    if (options.private_data) {
        auto cut = cut_parts(options, parts);
        if (!cut) return report_fault("swarm", as_usage(cut.error()));
    }
    auto steps = scenario::expand(*chaos);
    if (!steps) return swarm_usage_error(steps.error().message);
    const ScenarioJob job{*chaos, *steps, false, true, {}, *target, {}};
    return run_with_key(flags, [&] { return run_scenario(options, job).code; });
}

/// A scenario file says all that most other flags say.
void add_scenario_flags(CLI::App& command, SwarmFlags& flags) {
    static constexpr std::array<std::string_view, 7> kTogether = {
        "--seed", "--state", "--json", "--peer-binary", "--other-binary", "--help", "--config"};
    const auto others = command.get_options();
    auto* scenario = command.add_option(
        "--scenario",
        flags.scenario,
        "a file that says who runs, what goes wrong and what must hold: docs/SCENARIOS.md; or - "
        "for "
        "actions from standard input, beside the other flags"
    );
    scenario->type_name("FILE")->transform(&expand_home);
    for (auto* option : others) {
        const auto name = option->get_name();
        if (std::find(kTogether.begin(), kTogether.end(), name) != kTogether.end()) continue;
        flags.not_with_file.push_back(option);
    }
    command
        .add_option(
            "--report",
            flags.report,
            "folder for report.json and report.html of a scenario, or of a soak"
        )
        ->type_name("DIR")
        ->transform(&expand_home);
    command
        .add_option(
            "--soak", flags.soak, "run drawn scenarios for so long (30m), or until one has findings"
        )
        ->type_name("TIME")
        ->excludes(scenario);
    command
        .add_option("--network", flags.network, "of the peers of --scenario - (spaces if possible)")
        ->type_name("spaces|loopback")
        ->check(CLI::IsMember({"spaces", "loopback"}))
        ->needs(scenario);
    command.add_option("--repeat", flags.repeat, "run the scenario so often (1)")
        ->type_name("N")
        ->check(CLI::Range(std::size_t{1}, std::size_t{100'000}))
        ->needs(scenario)
        ->excludes(command.get_option("--state"));
    command.add_flag("--can", flags.can, "say which faults can be done to real peers here")
        ->excludes(scenario);
}

/// Flags that each peer gets as they are.
void add_flags_of_each(CLI::App& command, SwarmOptions& options) {
    command
        .add_option(
            "--upload-limit", options.upload_limit, "of each peer's exchanges and transfers (none)"
        )
        ->type_name("RATE");
    command
        .add_option(
            "--weight-max",
            options.weight_max,
            "how many times as much as its partner each peer may count, as in `starling peer` (128)"
        )
        ->type_name("N");
    command
        .add_option(
            "--precision", options.precision, "of each peer's products, as in `starling peer` (f32)"
        )
        ->type_name("f32|bf16|auto")
        ->check(CLI::IsMember({"f32", "bf16", "auto"}));
    command
        .add_option("--kernels", options.kernels, "of each peer, as in `starling peer` (measured)")
        ->type_name("measured|fixed")
        ->check(CLI::IsMember({"measured", "fixed"}));
    command.add_option("--device", options.device, "of each peer, as in `starling peer` (auto)")
        ->type_name("NAME");
}

}  // namespace

void add_swarm(CLI::App& app, Command& chosen) {
    auto* command = app.add_subcommand(
        "swarm", "run N peers as real processes on this machine, with a live table and a summary"
    );
    const auto flags = std::make_shared<SwarmFlags>();
    auto& options = flags->options;
    command->add_option("--peers", options.peers, "how many peers (4)")
        ->type_name("N")
        ->check(CLI::Range(std::size_t{1}, kPeersMax));
    command->add_option("--dataset", options.dataset, "what to learn from, as in `starling peer`")
        ->type_name("SPEC")
        ->transform(&expand_home);
    // The defaults of `peer`, to show them in our --help.
    CLI::App peer;
    PeerConfig defaults;
    add_training_flags(peer, defaults);
    const auto known = founder_flags();
    flags->founder.resize(known.size());
    for (std::size_t i = 0; i < known.size(); ++i) {
        const auto& flag = known[i];
        if (flag.name == std::string_view("--until")) {
            command->add_option(flag.name, options.until, flag.help)->type_name(flag.value);
        } else if (flag.is_switch()) {
            const bool own = flag.name == std::string_view("--private");
            command->add_flag(flag.name, own ? options.private_data : options.sync, flag.help);
        } else {
            command->add_option(flag.name, flags->founder[i], flag.help)
                ->type_name(flag.value)
                ->default_str(peer.get_option(flag.name)->get_default_str());
        }
    }
    add_flags_of_each(*command, options);
    command->add_option("--seed", options.seed, "peer i gets this plus i - 1 (1)")->type_name("N");
    command->add_option("--threads", options.threads, "of all peers together (all cores)")
        ->type_name("N")
        ->check(CLI::Range(std::size_t{1}, std::size_t{4096}));
    command->add_option("--chaos", flags->chaos, "what goes wrong on the way")
        ->type_name("founder-crash,late-join");
    command->add_option("--profile", options.profile, "membership's timing (lan)")
        ->type_name("lan|wan|local")
        ->check(CLI::IsMember({"lan", "wan", "local"}));
    command->add_option("--state", options.state, "keeps the peers' state in DIR/peer-N")
        ->type_name("DIR")
        ->transform(&expand_home);
    command->add_flag("--json", flags->json, "one JSON object a line, the summary last");
    command->add_option("--peer-binary", options.program, "what to run as peers")->group("");
    command
        ->add_option(
            "--other-binary",
            options.other_program,
            "what every second peer runs, for instance the release before (this program)"
        )
        ->type_name("FILE")
        ->transform(&expand_home)
        ->check(CLI::ExistingFile);
    add_scenario_flags(*command, *flags);
    command->footer(kExamples);
    command->callback([flags, command, &chosen] {
        if (command->count("--seed") > 0) flags->seed = flags->options.seed;
        chosen = [flags] { return run(*flags); };
    });
}

}  // namespace starling::peer
