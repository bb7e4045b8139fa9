#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fmt/format.h>
#include <memory>
#include <string>
#include <vector>

#include "peer/commands/commands.hpp"
#include "peer/commands/quantities.hpp"
#include "peer/commands/scenario_file.hpp"
#include "peer/commands/simulate_faults.hpp"
#include "peer/commands/simulate_scenario.hpp"
#include "peer/commands/soak.hpp"
#include "peer/machine/clock.hpp"
#include "peer/machine/exit_codes.hpp"
#include "peer/terms/mix_every.hpp"
#include "peer/terms/until.hpp"
#include "peer/virtual/campaign.hpp"

namespace starling::peer {

namespace {

/// The flags as the user gave them. interpret() parses numbers with units.
struct Flags {
    std::size_t peers = 64;
    std::string duration = "10m";
    std::uint64_t seed = 1;
    std::string loss = "0%";
    std::string crash = "0/min";
    std::string partition = "0s";
    std::string latency = "1ms";
    std::string profile = "lan";
    std::string mix;
    std::string encoding = "f32";
    std::string share = "100%";
    std::size_t parameters = 4096;
    std::string step_time = "50ms";
    double step_sigma = 0.2;
    std::string mix_every = "8";
    std::string exchange_cost = "1ms";
    double step_size = 0.0;
    std::vector<int> weights;
    std::string bandwidth;
    bool sync = false;
    std::string until;
    std::string restart = "0/min";
    std::string kill = "0%";
    std::string at = "60s";
    bool membership_only = false;
    FaultFlags faults;
    std::uint32_t batch = 64;
    std::size_t train_samples = 60'000;
    std::string scenario;
    std::size_t repeat = 1;  ///< seeds of the scenario
    std::string report;
    std::string soak;
    bool json = false;
};

/// Returns a shape with chunks of at most the size that the parameter store uses.
peer_virtual::FloatVector::Shape shape_of(std::size_t parameters) {
    const std::size_t chunks =
        (parameters + gossip::kChunkElementsMax - 1) / gossip::kChunkElementsMax;
    return {chunks, parameters / chunks, 0.0};
}

constexpr std::uint32_t kStepsMax = 1'000'000;

/// Returns what --mix-every says; rounds and outer steps are counted in steps, as in `starling peer`.
MixEvery interpret_mix_every(const Flags& flags, const gossip::Mix& mix) {
    auto every = MixEvery::parse(flags.mix_every);
    if (every.has_error()) throw CLI::ValidationError("--mix-every", every.error().message);
    if (every->steps > kStepsMax) wrong("--mix-every", flags.mix_every, "at most 1000000 steps");
    const bool counts = flags.sync || mix.rule == gossip::Rule::Noloco;
    if (counts && every->by == MixBy::Time) {
        wrong("--mix-every", flags.mix_every, "a number of steps, which --sync and noloco count");
    }
    if (counts) every->by = MixBy::Steps;
    if (mix.steps > 0) every->steps = mix.steps;
    return *every;
}

/// Returns what whole peers train: a data set of so many samples in at most this many shards.
peer_virtual::TrainingOptions interpret_training(const Flags& flags, const MixEvery& every) {
    constexpr std::size_t kShards = 64;
    peer_virtual::TrainingOptions training;
    if (!flags.until.empty()) {
        const auto until = Until::parse(flags.until);
        if (until.has_error()) throw CLI::ValidationError("--until", until.error().message);
        training.until = *until;
    }
    training.shards = std::min(kShards, flags.train_samples);
    training.samples_per_shard = flags.train_samples / training.shards;
    training.batch = flags.batch;
    training.step = parse_duration("--step-time", flags.step_time);
    training.step_sigma = flags.step_sigma;
    training.mix_every = every;
    return training;
}

std::vector<std::int8_t> interpret_weights(const Flags& flags) {
    if (flags.weights.size() > flags.peers) {
        throw CLI::ValidationError("--weights", "has more weights than --peers has peers");
    }
    std::vector<std::int8_t> weights;
    for (const int log2 : flags.weights) weights.push_back(static_cast<std::int8_t>(log2));
    return weights;
}

peer_virtual::AveragingOptions interpret_averaging(const Flags& flags) {
    peer_virtual::AveragingOptions averaging;
    const auto mix = gossip::Mix::parse(flags.mix.empty() ? "pairwise" : flags.mix);
    if (mix.has_error()) throw CLI::ValidationError("--mix", mix.error().message);
    const auto encoding = gossip::parse_encoding(flags.encoding);
    if (encoding.has_error()) throw CLI::ValidationError("--encoding", encoding.error().message);
    const auto parts = gossip::parse_share(flags.share);
    if (parts.has_error()) throw CLI::ValidationError("--share", parts.error().message);
    averaging.config.mix = *mix;
    averaging.config.encoding = *encoding;
    averaging.config.parts = *parts;
    averaging.config.adapt_window = true;
    averaging.config.sync_seed = flags.seed;
    if (const auto ok = averaging.config.validate(); ok.has_error()) {
        throw CLI::ValidationError("--mix", ok.error().message);
    }
    averaging.floats = shape_of(flags.parameters);
    averaging.sync = flags.sync;
    const auto every = interpret_mix_every(flags, *mix);
    averaging.automatic = every.by == MixBy::Auto;
    averaging.exchange_cost = parse_duration("--exchange-cost", flags.exchange_cost);
    const auto step = parse_duration("--step-time", flags.step_time);
    if (step <= Duration::zero()) wrong("--step-time", flags.step_time, "longer than nothing");
    // With `auto` each step is an event of its own.
    const auto count = every.by == MixBy::Time ? to_seconds(every.time) / to_seconds(step)
                       : averaging.automatic   ? 1.0
                                               : static_cast<double>(every.steps);
    const double steps = std::max(1.0, count);
    // Between two exchanges there are so many independent steps.
    averaging.step_deviation = flags.step_size * std::sqrt(steps);
    averaging.weights = interpret_weights(flags);
    averaging.mix_every = from_seconds(to_seconds(step) * steps);
    // The relative spread of the sum of many steps' times is smaller than that of one step.
    averaging.pace_sigma = flags.step_sigma / std::sqrt(steps);
    return averaging;
}

peer_virtual::CampaignOptions interpret(const Flags& flags) {
    peer_virtual::CampaignOptions options;
    options.peers = flags.peers;
    options.seed = flags.seed;
    options.duration = parse_duration("--duration", flags.duration);
    options.crashes_per_minute = parse_per_minute("--crash", flags.crash);
    options.partition = parse_duration("--partition", flags.partition);
    options.network.loss = parse_share("--loss", flags.loss);
    options.kill = parse_share("--kill", flags.kill);
    if (options.kill > 0.0) options.kill_at = parse_duration("--at", flags.at);
    options.records = !flags.membership_only;
    options.network.latency = parse_duration("--latency", flags.latency);
    options.network.jitter = options.network.latency / 5;
    const auto swim = membership::SwimConfig::profile(flags.profile);
    if (swim.has_error()) throw CLI::ValidationError("--profile", swim.error().message);
    options.swim = *swim;
    if (!flags.bandwidth.empty()) {
        options.network.uplink = parse_bandwidth("--bandwidth", flags.bandwidth);
    }
    interpret_faults(flags.faults, options);
    options.restarts_per_minute = parse_per_minute("--restart", flags.restart);
    // Whole peers join, train, restart and end. Else there are only membership and mixing.
    const bool whole =
        !flags.until.empty() || options.restarts_per_minute > 0.0 || !flags.scenario.empty();
    if (!flags.mix.empty() || whole) options.averaging = interpret_averaging(flags);
    if (whole) {
        const auto& mix = options.averaging->config.mix;
        options.training = interpret_training(flags, interpret_mix_every(flags, mix));
    }
    if (options.partition > options.duration / 3) {
        wrong("--partition", flags.partition, "at most a third of --duration");
    }
    return options;
}

/// Puts what a scenario says in the place of flags. It ignores settings of training that no virtual
/// peer has.
Flags with_scenario(Flags flags, const scenario::Scenario& scenario) {
    const auto take = [&](const char* key, std::string& into) {
        if (const auto value = scenario.setting(key); !value.empty()) into = value;
    };
    flags.peers = scenario.peers + scenario.added();
    flags.seed = scenario.seed;
    if (!scenario.profile.empty()) flags.profile = scenario.profile;
    take("mix", flags.mix);
    take("encoding", flags.encoding);
    take("share", flags.share);
    take("mix-every", flags.mix_every);
    return flags;
}

/// Reads the scenario and makes of it and of the flags what the simulator takes.
std::function<int()> interpret_scenario(const Flags& given, const ScenarioChanges& changes) {
    auto file = read_scenario(given.scenario, scenario::Mode::Simulate, changes);
    if (!file) return [fault = file.error()] { return report_fault("simulate", fault); };
    const auto& scenario = file->scenario;
    const auto campaign = interpret(with_scenario(given, scenario));
    peer_virtual::SwarmOptions options;
    options.swim = campaign.swim;
    options.averaging = campaign.averaging;
    options.training = campaign.training;
    options.network = campaign.network;
    const auto& links = scenario.links;
    if (links.delay) {
        options.network.latency = *links.delay;
        options.network.jitter = *links.delay / 5;
    }
    options.network.jitter = links.jitter.value_or(options.network.jitter);
    options.network.loss = links.loss.value_or(options.network.loss);
    options.network.uplink = links.rate.value_or(options.network.uplink);
    if (given.repeat > 1) {
        return [file = *std::move(file), options, given] {
            return simulate_seeds(file, options, given.repeat, given.json);
        };
    }
    return [file = *std::move(file), options, report = given.report, json = given.json] {
        return simulate_scenario(file, options, report, json);
    };
}

/// Prints on stderr every five seconds how far a campaign is.
class ProgressPrinter {
public:
    explicit ProgressPrinter(std::size_t peers) : peers_(peers) {}

    void operator()(const peer_virtual::CampaignProgress& progress) {
        const auto now = real_now();
        if (now < next_) return;
        next_ = now + kPrintEvery;
        fmt::print(
            stderr,
            "{:.0f} s of virtual time, {} events, {}\n",
            progress.seconds,
            progress.events,
            progress.formed              ? "running"
            : progress.started == peers_ ? "forming"
                                         : fmt::format("{} peers started", progress.started)
        );
    }

private:
    static constexpr Duration kPrintEvery = std::chrono::seconds(5);
    std::size_t peers_;
    Instant next_ = real_now() + kPrintEvery;
};

int run(peer_virtual::CampaignOptions options, bool json) {
    options.progress = ProgressPrinter(options.peers);
    const auto summary = peer_virtual::run_campaign(options);
    const auto text = json ? to_json(summary) + "\n" : to_text(summary);
    std::fputs(text.c_str(), stdout);
    const bool formed = summary.formation_seconds.has_value();
    return formed && summary.whole_at_end ? kExitDone : kExitFailed;
}

void add_swarm_flags(CLI::App& command, Flags& flags) {
    command.add_option("--peers", flags.peers, "Peers in the swarm")
        ->check(CLI::Range(1, 100'000))
        ->capture_default_str();
    command.add_option("--duration", flags.duration, "Virtual time after the swarm has formed")
        ->capture_default_str();
    command.add_option("--seed", flags.seed, "Everything follows from it")->capture_default_str();
    command.add_option("--loss", flags.loss, "Mean share of datagrams lost")->capture_default_str();
    command.add_option("--crash", flags.crash, "Crashes over the whole swarm, such as 10/min")
        ->capture_default_str();
    command.add_option("--partition", flags.partition, "Cut the swarm in halves for so long, once")
        ->capture_default_str();
    command.add_option("--kill", flags.kill, "This share of the peers dies at one instant")
        ->capture_default_str();
    command.add_option("--at", flags.at, "When: so long after the swarm has formed")
        ->capture_default_str();
    command.add_flag(
        "--membership-only",
        flags.membership_only,
        "Peers publish no progress records, as in `starling peer --membership-only`"
    );
    command.add_option("--latency", flags.latency, "Mean delay of a link, one way")
        ->capture_default_str();
    command.add_option("--profile", flags.profile, "Membership's timing: lan, wan or local")
        ->capture_default_str();
}

void add_mixing_flags(CLI::App& command, Flags& flags) {
    command.add_option("--mix", flags.mix, "Average, by this rule, as in `starling peer`");
    command.add_option("--encoding", flags.encoding, "How parameters travel")
        ->capture_default_str();
    command.add_option("--share", flags.share, "Share of the parameters in one exchange")
        ->capture_default_str();
    command.add_option("--params", flags.parameters, "Parameters of each peer")
        ->check(CLI::Range(std::size_t{1}, std::size_t{100'000'000}))
        ->capture_default_str();
    command.add_option("--step-time", flags.step_time, "Median time of a local step")
        ->capture_default_str();
    command.add_option("--step-sigma", flags.step_sigma, "Log-normal spread of the step time")
        ->check(CLI::Range(0.0, 3.0))
        ->capture_default_str();
    command
        .add_option(
            "--mix-every",
            flags.mix_every,
            "Steps between exchanges, a time such as 500ms, or auto, as in `starling peer`"
        )
        ->capture_default_str();
    command
        .add_option(
            "--exchange-cost", flags.exchange_cost, "What an exchange takes from training, for auto"
        )
        ->capture_default_str();
    command.add_option("--step-size", flags.step_size, "Random walk of a step, per parameter")
        ->check(CLI::Range(0.0, 1e6))
        ->capture_default_str();
    command
        .add_option(
            "--weights",
            flags.weights,
            "log2 of the first peers' weights in pairwise averaging, such as 7,0,0"
        )
        ->delimiter(',')
        ->check(CLI::Range(-64, 64));
    command.add_option("--bandwidth", flags.bandwidth, "What a peer can send: 100Mbit (no limit)");
    command.add_flag("--sync", flags.sync, "Rounds with a partner for each; training waits");
}

/// Flags of whole peers.
void add_training_flags(CLI::App& command, Flags& flags) {
    command.add_option(
        "--until",
        flags.until,
        "Whole peers: they join, train and end together, as in `starling peer`"
    );
    command
        .add_option("--restart", flags.restart, "Whole peers: kills, such as 2/min; back after 5 s")
        ->capture_default_str();
    command.add_option("--batch", flags.batch, "Samples of a step of a whole peer")
        ->check(CLI::Range(1, 1'000'000))
        ->capture_default_str();
    command.add_option("--train-samples", flags.train_samples, "Samples of an epoch")
        ->check(CLI::Range(std::size_t{1}, std::size_t{10'000'000}))
        ->capture_default_str();
}

/// Drawn scenarios in virtual time, each like one of a file.
int run_soak(const Flags& flags) {
    SoakOptions options;
    options.command = "simulate";
    options.length = flags.soak;
    options.seed = flags.seed;
    options.folder = flags.report.empty() ? "soak" : flags.report;
    options.draw.mode = scenario::Mode::Simulate;
    return soak(options, [&flags](const std::string& file, const std::string& report) {
        auto one = flags;
        one.scenario = file;
        one.report = report;
        return ScenarioEnd{interpret_scenario(one, {})(), false, {}};
    });
}

void add_soak_flags(CLI::App& command, Flags& flags) {
    auto* soak = command.add_option(
        "--soak",
        flags.soak,
        "Run drawn scenarios for so long, such as 30m, or until one has findings"
    );
    soak->type_name("TIME");
    for (const char* name :
         {"--scenario", "--peers", "--duration", "--loss", "--crash", "--partition"}) {
        soak->excludes(command.get_option(name));
    }
}

}  // namespace

void add_simulate(CLI::App& app, std::function<int()>& chosen) {
    auto flags = std::make_shared<Flags>();
    auto* command = app.add_subcommand("simulate", "Run a virtual swarm in virtual time");
    add_swarm_flags(*command, *flags);
    add_mixing_flags(*command, *flags);
    add_training_flags(*command, *flags);
    add_fault_flags(*command, flags->faults);
    auto* scenario = command->add_option(
        "--scenario",
        flags->scenario,
        "A file that says who runs, what goes wrong and what must hold: docs/SCENARIOS.md"
    );
    scenario->type_name("FILE")->transform(&expand_home);
    for (const char* name :
         {"--duration", "--loss", "--crash", "--partition", "--restart", "--until"}) {
        scenario->excludes(command->get_option(name));
    }
    command
        ->add_option(
            "--repeat", flags->repeat, "Run the scenario with so many seeds, from --seed on"
        )
        ->check(CLI::Range(std::size_t{1}, std::size_t{1'000'000}))
        ->needs(scenario);
    command->add_option("--report", flags->report, "Folder for what a scenario or a soak shows")
        ->type_name("DIR")
        ->transform(&expand_home);
    add_soak_flags(*command, *flags);
    command->add_flag("--json", flags->json, "Print one JSON object");
    command->footer(
        "Example:\n  starling simulate --peers 200 --duration 10m --seed 7 --loss 1% "
        "--crash 10/min --partition 60s\n"
        "  starling simulate --peers 64 --duration 60s --mix pairwise --params 100000 "
        "--bandwidth 100Mbit\n"
        "  starling simulate --peers 16 --duration 5m --until epochs=20 --restart 2/min --loss 1%\n"
        "  starling simulate --peers 32 --duration 2m --latency 500ms --loss 5% --loss-burst 300ms "
        "--pause 2/min --fault-time 3s\n"
        "  starling simulate --scenario scripts/scenarios/founder-dies.toml --seed 3\n"
        "Faults at times of your own, such as kill, term, pause, slow, cut, one-way, bridge, "
        "duplicate, rate, disk-full, address-change, clock and liar, are steps of a scenario "
        "(docs/SCENARIOS.md)."
    );
    command->callback([flags, command, &chosen] {
        if (!flags->soak.empty()) {
            chosen = [flags = *flags] { return run_soak(flags); };
            return;
        }
        if (flags->scenario.empty() && !flags->report.empty()) {
            throw CLI::ValidationError("--report", "it is of --scenario and --soak");
        }
        if (!flags->scenario.empty()) {
            ScenarioChanges changes;
            if (command->count("--seed") > 0) changes.seed = flags->seed;
            if (command->count("--peers") > 0) changes.peers = flags->peers;
            chosen = interpret_scenario(*flags, changes);
            return;
        }
        // Wrong values are usage errors. CLI11 must see them while it parses.
        const auto options = interpret(*flags);
        chosen = [options, json = flags->json] { return run(options, json); };
    });
}

}  // namespace starling::peer
