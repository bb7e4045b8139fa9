#include "peer/commands/simulate_scenario.hpp"

#include <cstdio>
#include <fmt/format.h>

#include "peer/commands/commands.hpp"
#include "peer/machine/clock.hpp"
#include "peer/machine/exit_codes.hpp"
#include "peer/scenario/schedule.hpp"
#include "peer/virtual/scenario_campaign.hpp"

namespace starling::peer {
namespace {

constexpr Duration kPrintEvery = std::chrono::seconds(5);

/// The findings, and the verdict as the last line.
void print_text(const scenario::Run& run) {
    fmt::print("{}, seed {}, in virtual time\n", run.scenario.name, run.scenario.seed);
    for (const auto& entry : run.plan.entries()) {
        if (!entry.done) continue;
        fmt::print(
            "{:>8.1f} s  {}{}\n",
            to_seconds(*entry.done - run.began),
            to_string(entry.step.action),
            entry.undone ? fmt::format(", until {:.1f} s", to_seconds(*entry.undone - run.began))
                         : std::string()
        );
    }
    for (const auto& finding : run.judge.findings()) {
        fmt::print("finding at {:.1f} s: {}\n", finding.at, finding.what);
        for (const auto& line : finding.evidence) fmt::print("    {}\n", line);
    }
    for (const auto& note : run.notes) fmt::print("{}\n", note);
    fmt::print("{}\n", verdict_line(run.judge, carried_out(run.plan)));
}

}  // namespace

int simulate_scenario(
    const ScenarioFile& file,
    const peer_virtual::SwarmOptions& options,
    const std::string& report,
    bool json
) {
    if (!report.empty()) {
        const auto made = make_report_folder(report);
        if (!made) return report_fault("simulate", as_usage(made.error()));
    }
    peer_virtual::ScenarioCampaign campaign(file.scenario, file.steps, options);
    auto next = real_now() + kPrintEvery;
    campaign.run([&next](Instant now, scenario::Phase phase) {
        if (real_now() < next) return;
        next = real_now() + kPrintEvery;
        const double seconds = to_seconds(now.time_since_epoch());
        fmt::print(stderr, "{:.0f} s of virtual time, {}\n", seconds, to_string(phase));
    });
    const auto run = campaign.result();
    if (json) {
        fmt::print("{}\n", verdict_json(run));
    } else {
        print_text(run);
    }
    if (!report.empty()) {
        const auto written = write_reports(report, run);
        if (!written) return report_fault("simulate", written.error());
    }
    return run.judge.count() == 0 ? kExitDone : kExitFailed;
}

int simulate_seeds(
    const ScenarioFile& file,
    const peer_virtual::SwarmOptions& options,
    std::size_t count,
    bool json
) {
    std::size_t clean = 0;
    auto next = real_now() + kPrintEvery;
    for (std::size_t i = 0; i < count; ++i) {
        auto scenario = file.scenario;
        scenario.seed += i;
        auto steps = expand(scenario);
        if (!steps) return report_fault("simulate", steps.error());
        peer_virtual::ScenarioCampaign campaign(scenario, *std::move(steps), options);
        campaign.run();
        const auto run = campaign.result();
        if (run.judge.count() == 0) ++clean;
        if (json) {
            fmt::print("{}\n", verdict_json(run));
        } else if (run.judge.count() > 0) {
            fmt::print("seed {}: {}\n", scenario.seed, run.judge.findings().front().what);
        }
        if (real_now() < next) continue;
        next = real_now() + kPrintEvery;
        fmt::print(stderr, "{} of {} seeds\n", i + 1, count);
    }
    if (json) {
        fmt::print("{{\"event\":\"runs\",\"clean\":{},\"of\":{}}}\n", clean, count);
    } else {
        fmt::print("{} of {} seeds clean\n", clean, count);
    }
    return clean == count ? kExitDone : kExitFailed;
}

}  // namespace starling::peer
