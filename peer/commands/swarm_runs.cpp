#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "peer/commands/commands.hpp"
#include "peer/commands/scenario_file.hpp"
#include "peer/commands/soak.hpp"
#include "peer/commands/swarm_flags.hpp"
#include "peer/commands/swarm_scenario.hpp"
#include "peer/fleet/peer_disks.hpp"
#include "peer/fleet/scenario_run.hpp"
#include "peer/fleet/spaces.hpp"
#include "peer/machine/exit_codes.hpp"
#include "peer/machine/net_space.hpp"
#include "peer/terms/until.hpp"

namespace starling::peer {
namespace {

/// Makes the networks of a scenario that needs them; else null.
/// Errors    Usage (this machine or user cannot)
Result<std::unique_ptr<Spaces>> make_spaces(const scenario::Scenario& scenario) {
    if (scenario.mode != scenario::Mode::Spaces) return std::unique_ptr<Spaces>();
    auto allowed = allow_net_spaces();
    if (!allowed) return as_usage(allowed.error());
    auto spaces = Spaces::make(scenario.peers + scenario.added(), scenario, scenario.seed);
    if (!spaces) return as_usage(spaces.error());
    return std::make_unique<Spaces>(*std::move(spaces));
}

bool needs_disks(const scenario::Scenario& scenario) {
    return std::any_of(scenario.steps.begin(), scenario.steps.end(), [](const auto& step) {
        return scenario::needs_disk_of_its_own(step.action.verb);
    });
}

/// Runs a scenario once. With a new state directory, unless the user has named one.
ScenarioEnd run_once(
    SwarmFlags flags, const ScenarioFile& file, const ScenarioJob& job, const std::string& report
) {
    auto& options = flags.options;
    TemporaryFolder state;
    if (file.scenario.state && options.state.empty()) {
        auto made = state.make();
        if (!made) return {report_fault("swarm", made.error()), false, {}};
        options.state = made->string();
    }
    auto with_report = job;
    if (!report.empty()) {
        const auto made = make_report_folder(report);
        if (!made) return {report_fault("swarm", as_usage(made.error())), false, {}};
        with_report.report = [&report](const scenario::Run& run) {
            return write_reports(report, run);
        };
    }
    ScenarioEnd end;
    end.code = run_with_key(flags, [&] {
        std::optional<PeerDisks> disks;
        if (needs_disks(file.scenario)) {
            auto made = PeerDisks::make(options.state, file.scenario.peers + file.scenario.added());
            if (!made) return report_fault("swarm", made.error());
            with_report.surroundings.disks = &disks.emplace(*std::move(made));
        }
        end = run_scenario(options, with_report);
        return end.code;
    });
    return end;
}

/// Runs the same peers with nothing done to them, and returns what they reach.
/// Errors    Refused (they do not end well)
Result<double> run_baseline(const SwarmFlags& flags, const ScenarioFile& file, ScenarioJob job) {
    job.steps.clear();
    job.scenario.steps.clear();
    job.scenario.expect = {};
    if (!flags.json) std::puts("the baseline: the same peers, and nothing is done to them");
    const auto end = run_once(flags, file, job, {});
    if (end.code == kExitDone && end.accuracy) return *end.accuracy;
    return fail(
        FaultCode::Refused,
        "the run without faults, which gives the baseline, reached no accuracy; [train] wants an "
        "'until', or something is wrong without faults, too"
    );
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
ScenarioEnd run_file(SwarmFlags flags) {
    auto& options = flags.options;
    const auto refuse = [](const Fault& fault) {
        return ScenarioEnd{report_fault("swarm", fault), false, {}};
    };
    for (const auto* option : flags.not_with_file) {
        if (option->count() == 0) continue;
        const auto name = option->get_name();
        return refuse(fail(FaultCode::Usage, "--scenario FILE says it all and excludes " + name));
    }
    auto file = read_scenario(flags.scenario, scenario::Mode::Spaces, {flags.seed, {}});
    if (!file) return refuse(file.error());
    if (auto ok = apply_scenario(file->scenario, flags.scenario, options); !ok) {
        return refuse(ok.error());
    }
    const auto target = Until::parse(options.until);
    if (!target) return refuse(target.error());
    auto spaces = make_spaces(file->scenario);
    if (!spaces) return refuse(spaces.error());
    ScenarioJob job{file->scenario, file->steps, false, false, {spaces->get()}, *target, {}};
    if (auto& expect = job.scenario.expect; expect.baseline_is_run) {
        const auto baseline = run_baseline(flags, *file, job);
        if (!baseline) return refuse(baseline.error());
        expect.baseline = *baseline;
    }
    if (flags.repeat > 1) return {run_repeated(flags, *file, job), false, {}};
    return run_once(flags, *file, job, flags.report);
}

}  // namespace

int run_scenario_file(SwarmFlags flags) {
    return run_file(std::move(flags)).code;
}

int run_soak(SwarmFlags flags) {
    if (flags.options.dataset.empty()) return swarm_usage_error("--soak wants --dataset");
    take_founder_values(flags);
    const auto& trained = flags.options;
    SoakOptions options;
    options.command = "swarm";
    options.length = flags.soak;
    options.seed = flags.seed.value_or(1);
    options.folder = flags.report.empty() ? "soak" : flags.report;
    auto allowed = allow_net_spaces();
    const bool networks = allowed && Spaces::make(1, {}, 1);
    options.draw.mode = networks ? scenario::Mode::Spaces : scenario::Mode::Loopback;
    options.draw.train.push_back({"dataset", trained.dataset, {}});
    for (const auto& [flag, value] : trained.founder_flags) {
        options.draw.train.push_back({flag.substr(2), value, {}});
    }
    return soak(options, [&flags](const std::string& file, const std::string& report) {
        SwarmFlags one;
        one.scenario = file;
        one.report = report;
        one.json = flags.json;
        one.options.program = flags.options.program;
        return run_file(std::move(one));
    });
}

int run_live(SwarmFlags flags) {
    auto& options = flags.options;
    const auto target = Until::parse(options.until);
    if (!target) return report_fault("swarm", target.error());
    if (options.private_data) return swarm_usage_error("--private wants a scenario of a file");
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
    const ScenarioJob job{file.scenario, {}, true, false, {networks.get()}, *target, {}};
    return run_once(flags, file, job, flags.report).code;
}

int tell_what_can_be_done() {
    auto allowed = allow_net_spaces();
    auto spaces = allowed ? Spaces::make(1, {}, 1) : Result<Spaces>(allowed.error());
    std::printf("%s", verbs_table(spaces ? std::string() : spaces.error().message).c_str());
    return kExitDone;
}

}  // namespace starling::peer
