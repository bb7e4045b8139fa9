#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

#include "base/printable.hpp"
#include "base/spec.hpp"
#include "data/partition.hpp"
#include "peer/commands/commands.hpp"
#include "peer/commands/founder_flags.hpp"
#include "peer/commands/scenario_file.hpp"
#include "peer/commands/swarm_scenario.hpp"
#include "peer/commands/training_flags.hpp"
#include "peer/crypto/swarm_key.hpp"
#include "peer/fleet/scenario_run.hpp"
#include "peer/fleet/spaces.hpp"
#include "peer/fleet/swarm_run.hpp"
#include "peer/machine/files.hpp"
#include "peer/machine/private_folder.hpp"
#include "peer/terms/data_set.hpp"

namespace starling::peer {
namespace {

constexpr std::size_t kPeersMax = 256;
constexpr const char* kStandardInput = "-";

constexpr const char* kExamples =
    "Examples:\n"
    "  starling swarm --peers 2 --dataset idx:data/samples --model mlp --until samples=200000\n"
    "  starling swarm --peers 4 --dataset idx:/usr/share/datasets/fashion-mnist --model cnn "
    "\\\n"
    "      --until accuracy=0.9 --chaos founder-crash,late-join\n"
    "  starling swarm --scenario scripts/scenarios/founder-dies.toml\n"
    "data/samples is in Starling's repository, the other in Debian's dataset-fashion-mnist.";

struct SwarmFlags {
    SwarmOptions options;
    std::vector<std::string> founder;  ///< values in the order of founder_flags()
    std::string chaos;
    std::string scenario;
    std::string report;
    std::string network;
    std::optional<std::uint64_t> seed;        ///< if the user has given one
    std::vector<CLI::Option*> not_with_file;  ///< a scenario file says what these say
    std::size_t repeat = 1;                   ///< runs of the scenario
    bool can = false;                         ///< only say which faults can be done here
    bool json = false;
};

int usage_error(const std::string& message) {
    return report_fault("swarm", fail(FaultCode::Usage, message));
}

/// Returns the path of our own binary. It is the real path, so that `ps` shows a readable name.
std::string own_binary() {
    std::error_code error;
    const auto path = std::filesystem::read_symlink("/proc/self/exe", error);
    return error ? "/proc/self/exe" : path.string();
}

/// Adds the number of peers as `owners` if the user has not given it. It does not check the text:
/// the founder does.
std::string for_all_peers(const std::string& partition, std::size_t peers) {
    auto spec = Spec::parse(partition);
    if (spec.has_error()) return partition;
    // Each value of a column has an owner, and peers share them out.
    if (partition.starts_with("column=")) return partition;
    spec->options.try_emplace("owners", std::to_string(peers));
    return spec->to_string();
}

/// A temporary directory for this run, which is removed after it.
class PrivateFolder {
public:
    PrivateFolder() = default;
    PrivateFolder(const PrivateFolder&) = delete;
    PrivateFolder& operator=(const PrivateFolder&) = delete;

    ~PrivateFolder() {
        std::error_code ignored;  // what is left behind is this user's own
        if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
    }

    /// Makes it and returns its path.
    /// Errors    Io
    Result<std::filesystem::path> make() {
        std::error_code error;
        std::string pattern =
            (std::filesystem::temp_directory_path(error) / "starling-XXXXXX").string();
        if (error || ::mkdtemp(pattern.data()) == nullptr) {
            return fail(FaultCode::Io, "cannot make a directory for files of this run");
        }
        path_ = pattern;
        return path_;
    }

private:
    std::filesystem::path path_;
};

/// Divides the data among the peers of a private swarm before it starts: each brings a part of its own.
/// Errors    those of cut_into_folder
Result<void> cut_parts(SwarmOptions& options, PrivateFolder& folder) {
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

/// The file with the key of this run's swarm. It stays in the state directory if there is one.
/// Otherwise it is in a temporary directory, which is removed after the run.
class KeyFile {
public:
    /// Makes the file if it does not exist yet. Returns its name, which is empty if the state
    /// directory comes from an open swarm.
    /// Errors    Io
    Result<std::string> make(const std::string& state) {
        namespace fs = std::filesystem;
        fs::path path;
        if (state.empty()) {
            auto made = private_.make();
            if (!made) return made.error();
            path = *made / "swarm.key";
        } else {
            std::error_code ignored;  // if exists() fails, writing fails below with a message
            path = fs::path(state) / "swarm.key";
            if (fs::exists(path, ignored)) return path.string();
            if (fs::exists(fs::path(state) / "peer-1", ignored)) return std::string();
        }
        if (auto ok = write_swarm_key(path, random_swarm_key()); !ok) return ok.error();
        return path.string();
    }

private:
    PrivateFolder private_;
};

/// Runs the swarm with the key that `--state` or a temporary directory has.
int run_with_key(SwarmFlags& flags, const std::function<int()>& go) {
    auto& options = flags.options;
    if (options.program.empty()) options.program = own_binary();
    if (!options.state.empty()) {
        const auto made = make_directories(real_disk(), options.state, kPrivateDirectory);
        if (!made) return usage_error("--state " + made.error().message);
        const auto closed = close_to_others(options.state, {.untouched = {"swarm.key"}});
        if (!closed) return report_fault("swarm", closed.error());
    }
    // These are for one peer. Ours would all take the same directory and the same port.
    for (const char* name : {"STARLING_STATE", "STARLING_KEY", "STARLING_HTTP"}) {
        (void)::unsetenv(name);
    }
    KeyFile key_file;
    const auto key = key_file.make(options.state);
    if (!key) return usage_error(key.error().message);
    options.key = *key;
    const bool terminal = ::isatty(STDOUT_FILENO) == 1;
    options.output = terminal ? OutputMode::Table : OutputMode::Lines;
    if (flags.scenario == kStandardInput) options.output = OutputMode::Answers;
    if (flags.json) options.output = OutputMode::Json;
    return go();
}

/// Makes the networks of a scenario that needs them; else null.
/// Errors    Usage (this machine or user cannot)
Result<std::unique_ptr<Spaces>> make_spaces(const scenario::Scenario& scenario) {
    if (scenario.mode != scenario::Mode::Spaces) return std::unique_ptr<Spaces>();
    auto allowed = allow_net_spaces();
    if (!allowed) return as_usage(allowed.error());
    auto spaces = Spaces::make(scenario.peers + scenario.added(), scenario.links, scenario.seed);
    if (!spaces) return as_usage(spaces.error());
    return std::make_unique<Spaces>(*std::move(spaces));
}

/// Runs a scenario once. With a new state directory, unless the user has named one.
ScenarioEnd run_once(
    SwarmFlags flags, const ScenarioFile& file, const ScenarioJob& job, const std::string& report
) {
    auto& options = flags.options;
    PrivateFolder state;
    if (file.scenario.state && options.state.empty()) {
        auto made = state.make();
        if (!made) return {report_fault("swarm", made.error()), false};
        options.state = made->string();
    }
    auto with_report = job;
    if (!report.empty()) {
        const auto made = make_report_folder(report);
        if (!made) return {report_fault("swarm", as_usage(made.error())), false};
        with_report.report = [&report](const scenario::Run& run) {
            return write_reports(report, run);
        };
    }
    ScenarioEnd end;
    end.code = run_with_key(flags, [&] {
        end = run_scenario(options, with_report);
        return end.code;
    });
    return end;
}

/// Runs a scenario again and again. Clean is only what is clean each time.
int run_repeated(const SwarmFlags& flags, const ScenarioFile& file, const ScenarioJob& job) {
    std::size_t clean = 0;
    std::size_t runs = 0;
    bool interrupted = false;
    while (runs < flags.repeat && !interrupted) {
        const auto number = std::to_string(++runs);
        const auto report = flags.report.empty() ? "" : flags.report + "/run-" + number;
        if (!flags.json) std::printf("run %s of %zu\n", number.c_str(), flags.repeat);
        const auto end = run_once(flags, file, job, report);
        if (end.code == kExitUsage) return end.code;
        if (end.code == kExitDone) ++clean;
        interrupted = end.interrupted;
    }
    if (flags.json) {
        std::printf("{\"event\":\"runs\",\"clean\":%zu,\"of\":%zu}\n", clean, runs);
    } else {
        std::printf("%zu of %zu runs clean\n", clean, runs);
    }
    return clean == flags.repeat ? kExitDone : kExitFailed;
}

/// Runs the scenario of a file. All that can be wrong with the file is found before a peer starts.
int run_file(SwarmFlags flags) {
    auto& options = flags.options;
    for (const auto* option : flags.not_with_file) {
        if (option->count() == 0) continue;
        return usage_error("--scenario FILE says it all and excludes " + option->get_name());
    }
    auto file = read_scenario(flags.scenario, scenario::Mode::Spaces, flags.seed);
    if (!file) return report_fault("swarm", file.error());
    if (auto ok = apply_scenario(file->scenario, flags.scenario, options); !ok) {
        return report_fault("swarm", ok.error());
    }
    const auto target = Until::parse(options.until);
    if (!target) return report_fault("swarm", target.error());
    auto spaces = make_spaces(file->scenario);
    if (!spaces) return report_fault("swarm", spaces.error());
    const ScenarioJob job{file->scenario, file->steps, false, spaces->get(), *target, {}};
    if (flags.repeat > 1) return run_repeated(flags, *file, job);
    return run_once(flags, *file, job, flags.report).code;
}

/// Hands the values of the training flags to the founder.
void take_founder_values(SwarmFlags& flags) {
    const auto known = founder_flags();
    for (std::size_t i = 0; i < known.size(); ++i) {
        auto value = flags.founder[i];
        if (value.empty()) continue;
        if (known[i].name == std::string_view("--partition")) {
            value = for_all_peers(value, flags.options.peers);
        }
        flags.options.founder_flags.emplace_back(known[i].name, std::move(value));
    }
}

/// Runs a swarm whose faults come from standard input. Peers get networks of their own where that is
/// possible and not forbidden.
int run_live(SwarmFlags flags) {
    auto& options = flags.options;
    const auto target = Until::parse(options.until);
    if (!target) return report_fault("swarm", target.error());
    if (options.private_data) return usage_error("--private wants a scenario of a file");
    ScenarioFile file{live_scenario(options), {}};
    std::unique_ptr<Spaces> networks;
    if (flags.network != "loopback") {
        file.scenario.mode = scenario::Mode::Spaces;
        auto spaces = make_spaces(file.scenario);
        if (!spaces && flags.network == "spaces") return report_fault("swarm", spaces.error());
        if (spaces) networks = *std::move(spaces);
        if (!networks) file.scenario.mode = scenario::Mode::Loopback;
    }
    take_founder_values(flags);
    const ScenarioJob job{file.scenario, {}, true, networks.get(), *target, {}};
    return run_once(flags, file, job, flags.report).code;
}

/// Says which faults can be done to real peers here.
int tell_what_can_be_done() {
    auto allowed = allow_net_spaces();
    auto spaces = allowed ? Spaces::make(1, {}, 1) : Result<Spaces>(allowed.error());
    std::printf("%s", verbs_table(spaces ? std::string() : spaces.error().message).c_str());
    return kExitDone;
}

int run(SwarmFlags flags) {
    if (flags.can) return tell_what_can_be_done();
    if (flags.scenario == kStandardInput) return run_live(std::move(flags));
    if (!flags.scenario.empty()) return run_file(std::move(flags));
    auto& options = flags.options;
    const auto chaos = ChaosOptions::parse(flags.chaos);
    if (!chaos) return usage_error(chaos.error().message);
    const auto target = Until::parse(options.until);
    if (!target) return report_fault("swarm", target.error());
    if (chaos->founder_crash && options.peers < 2) {
        return usage_error("--chaos founder-crash needs --peers 2 at least: somebody must survive");
    }
    options.chaos = *chaos;
    take_founder_values(flags);
    PrivateFolder parts;
    if (options.private_data) {
        auto cut = cut_parts(options, parts);
        if (!cut) return report_fault("swarm", as_usage(cut.error()));
    }
    return run_with_key(flags, [&] { return run_swarm(options, *target); });
}

/// A scenario file says all that most other flags say.
void add_scenario_flags(CLI::App& command, SwarmFlags& flags) {
    static constexpr std::array<std::string_view, 6> kTogether = {
        "--seed", "--state", "--json", "--peer-binary", "--help", "--config"};
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
            "--report", flags.report, "folder for report.json and report.html of a scenario"
        )
        ->type_name("DIR")
        ->transform(&expand_home)
        ->needs(scenario);
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
    command->add_option("--upload-limit", options.upload_limit, "of each peer's exchanges (none)")
        ->type_name("RATE");
    command
        ->add_option(
            "--precision", options.precision, "of each peer's products, as in `starling peer` (f32)"
        )
        ->type_name("f32|bf16|auto")
        ->check(CLI::IsMember({"f32", "bf16", "auto"}));
    command
        ->add_option("--kernels", options.kernels, "of each peer, as in `starling peer` (measured)")
        ->type_name("measured|fixed")
        ->check(CLI::IsMember({"measured", "fixed"}));
    command->add_option("--device", options.device, "of each peer, as in `starling peer` (cpu)")
        ->type_name("NAME");
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
    add_scenario_flags(*command, *flags);
    command->footer(kExamples);
    command->callback([flags, command, &chosen] {
        if (command->count("--seed") > 0) flags->seed = flags->options.seed;
        chosen = [flags] { return run(*flags); };
    });
}

}  // namespace starling::peer
