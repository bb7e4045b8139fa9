#include <algorithm>
#include <csignal>
#include <cstdio>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/json_text.hpp"
#include "base/printable.hpp"
#include "peer/fleet/outcome.hpp"
#include "peer/fleet/scenario_runner.hpp"
#include "peer/machine/exit_codes.hpp"
#include "peer/scenario/watch.hpp"

namespace starling::peer {
namespace {

/// Peers that were asked to leave are killed after so long.
constexpr Duration kLeaveMax = std::chrono::seconds(20);
/// When all peers have given their final report, they must exit within this time.
constexpr Duration kLingerMax = std::chrono::seconds(60);
/// About one look.
constexpr Duration kOnce = std::chrono::milliseconds(100);

}  // namespace

/// The calm is over, or the run has failed. Peers that have a target go on until they have reached it.
void ScenarioRun::begin_end(Instant now) {
    ending_since_ = now;
    if (live_) live_->abandon(now);
    watch_end(judge_, plan_, now, view_, history_);
    peers_.release();
    if (job_.plain) return;
    const bool awaits = job_.scenario.expect.reach && !options_.until.empty();
    if (!awaits || judge_.count() > 0) stop_all(now);
}

void ScenarioRun::await_end(Instant now) {
    if (!peers_.anyone_running()) return io_.stop();
    if (!stopped_ && now - began_ > job_.scenario.limit) {
        judge_.add(
            now, "the target was not reached after " + scenario::to_text(job_.scenario.limit)
        );
        stop_all(now);
    }
    look_for_lingerers(now);
    if (!kill_at_ || now < *kill_at_) return;
    if (now - *kill_at_ < kOnce) judge_.add(now, "peers did not leave when they were asked to");
    peers_.signal_all(SIGKILL);
}

/// Who has given its final report has to end.
void ScenarioRun::look_for_lingerers(Instant now) {
    const auto& peers = peers_.views();
    const bool all_final = std::all_of(peers.begin(), peers.end(), [](const PeerView& peer) {
        return !peer.living() || peer.final_report;
    });
    if (!all_final) all_final_since_.reset();
    if (all_final && !all_final_since_) all_final_since_ = now;
    if (stopped_ || !all_final || now - *all_final_since_ < kLingerMax) return;
    judge_.add(now, "peers did not exit after their final report");
    stop_all(now);
}

void ScenarioRun::stop_all(Instant now) {
    if (stopped_) return;
    stopped_ = true;
    if (live_) live_->abandon(now);
    if (!ending_since_) ending_since_ = now;
    kill_at_ = now + kLeaveMax;
    peers_.release();
    peers_.signal_all(SIGTERM);
}

/// Shows what was found since the last time: who watches need not wait for the verdict.
void ScenarioRun::tell_findings() {
    if (job_.plain) return;
    const auto& findings = judge_.findings();
    for (; told_ < findings.size(); ++told_) {
        const auto& finding = findings[told_];
        const nlohmann::ordered_json event = {
            {"event", "finding"}, {"what", printable(finding.what)}, {"seconds", finding.at}};
        display_.json(json_text(event));
        display_.note("finding: " + printable(finding.what));
    }
}

/// Holds the survivors against the target, if they were to reach one and were not stopped before.
void ScenarioRun::judge_end() {
    if (stopped_) return;
    const bool awaits = job_.scenario.expect.reach && !options_.until.empty();
    if (!awaits && !job_.plain) return;
    const auto verdict = judge(peers_.views(), job_.target);
    if (verdict.exit_code != kExitDone) judge_.add(real_now(), verdict.reason);
    judge_accuracy();
}

void ScenarioRun::judge_accuracy() {
    const auto& expect = job_.scenario.expect;
    if (!expect.accuracy_lost || !expect.baseline) return;
    for (const auto& peer : peers_.views()) {
        if (peer.hit || !peer.final_report) continue;
        const auto accuracy = peer.final_report->accuracy.value_or(0);
        if (accuracy >= *expect.baseline - *expect.accuracy_lost) continue;
        judge_.add(
            real_now(),
            fmt::format(
                "peer {} reached an accuracy of {:.4f}; without faults it is {:.4f}",
                peer.index,
                accuracy,
                *expect.baseline
            )
        );
    }
}

/// Returns the mean accuracy of the survivors, if they have told any.
std::optional<double> ScenarioRun::accuracy() const {
    double sum = 0;
    std::size_t count = 0;
    for (const auto& peer : peers_.views()) {
        if (peer.hit || !peer.final_report || !peer.final_report->accuracy) continue;
        sum += *peer.final_report->accuracy;
        ++count;
    }
    if (count == 0) return {};
    return sum / static_cast<double>(count);
}

FleetView ScenarioRun::fleet() const {
    FleetView fleet;
    fleet.seconds = to_seconds(real_now() - began_);
    fleet.until = options_.until;
    fleet.peers = peers_.views();
    return fleet;
}

/// The end of a run that has no verdict on how it went: the summary, and what went wrong.
int ScenarioRun::finish_plain() {
    display_.finish(fleet());
    if (judge_.count() == 0) return kExitDone;
    const auto& why = judge_.findings().front().what;
    std::fputs(("starling swarm: " + printable(why) + "\n").c_str(), stderr);
    return kExitFailed;
}

int ScenarioRun::finish() {
    judge_end();
    if (job_.plain) return finish_plain();
    const auto last = fleet();
    const scenario::Run run{
        job_.scenario, plan_, judge_, history_, job_.scenario.mode, last.seconds, began_, {}};
    display_.json(verdict_json(run));
    display_.finish(last);
    int code = judge_.count() == 0 ? kExitDone : kExitFailed;
    if (job_.report) {
        if (const auto written = job_.report(run); !written) {
            std::fputs(
                ("starling swarm: " + printable(written.error().message) + "\n").c_str(), stderr
            );
            code = kExitFailed;
        }
    }
    for (const auto& finding : judge_.findings()) {
        display_.note(fmt::format("finding at {:.1f} s: {}", finding.at, printable(finding.what)));
        for (const auto& line : finding.evidence) display_.note("    " + printable(line));
    }
    display_.note(printable(verdict_line(judge_, carried_out(plan_))));
    return code;
}

}  // namespace starling::peer
