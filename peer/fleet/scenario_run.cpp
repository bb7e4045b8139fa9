#include "peer/fleet/scenario_run.hpp"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <cstdio>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/printable.hpp"
#include "peer/fleet/display.hpp"
#include "peer/fleet/live_control.hpp"
#include "peer/fleet/outcome.hpp"
#include "peer/fleet/scenario_peers.hpp"
#include "peer/machine/clock.hpp"
#include "peer/machine/exit_codes.hpp"
#include "peer/machine/surroundings.hpp"
#include "peer/scenario/history.hpp"
#include "peer/scenario/judge.hpp"
#include "peer/scenario/links.hpp"
#include "peer/scenario/plan.hpp"

namespace starling::peer {
namespace {

using scenario::Phase;

constexpr Duration kTick = std::chrono::milliseconds(100);
/// Peers that were asked to leave are killed after so long.
constexpr Duration kLeaveMax = std::chrono::seconds(20);

class ScenarioRun {
public:
    ScenarioRun(const SwarmOptions& options, const ScenarioJob& job)
        : options_(options),
          job_(job),
          display_(options.output),
          signals_(io_),
          ticker_(io_),
          began_(real_now()),
          plan_(job.scenario, job.steps),
          judge_(job.scenario, began_),
          peers_(
              io_,
              options,
              job.surroundings,
              {[this](std::size_t slot, std::string_view line, const PeerEvent& event) {
                   on_line(slot, line, event);
               },
               [this](std::size_t slot, std::string_view line) { on_error_line(slot, line); },
               [this](std::size_t slot, ProcessExit how, bool expected) {
                   on_exit(slot, how, expected);
               }}
          ) {
        for (const int signal : ending_signals()) signals_.add(signal);
        if (job.live) {
            live_.emplace(io_, job_.scenario, plan_, judge_, &Display::answer);
        }
    }

    ScenarioEnd run();

private:
    void on_line(std::size_t slot, std::string_view line, const PeerEvent& event);
    void on_error_line(std::size_t slot, std::string_view line);
    void on_exit(std::size_t slot, ProcessExit how, bool expected);
    void on_listening(std::size_t slot);
    void await_signal();
    void await_tick();
    void on_tick();
    void go_on(Instant now);
    void carry_out(Instant now, const scenario::Order& order);
    void tell_judge(Instant now, const scenario::Order& order);
    void begin_end(Instant now);
    void watch_end(Instant now);
    void stop_all(Instant now);
    void judge_end();
    void tell_findings();
    [[nodiscard]] bool settled() const;
    [[nodiscard]] FleetView fleet() const;
    int finish();

    const SwarmOptions& options_;
    const ScenarioJob& job_;
    Display display_;
    boost::asio::io_context io_{1};
    boost::asio::signal_set signals_;
    boost::asio::steady_timer ticker_;
    Instant began_;
    Instant next_look_;
    scenario::Plan plan_;
    scenario::Judge judge_;
    scenario::History history_;
    scenario::View view_;
    std::optional<LiveControl> live_;
    std::vector<std::size_t> added_;  ///< by the order that is carried out now
    std::optional<Instant> ending_since_;
    std::optional<Instant> kill_at_;
    bool stopped_ = false;      ///< we have asked the peers to leave
    bool interrupted_ = false;  ///< because somebody has asked us to end
    std::size_t told_ = 0;      ///< findings that were shown when they were found
    bool refused_configuration_ = false;
    ScenarioPeers peers_;  ///< last: it ends its processes before what they call is gone
};

ScenarioEnd ScenarioRun::run() {
    await_signal();
    await_tick();
    auto started = live_ ? live_->start(began_) : Result<void>();
    if (started) started = peers_.start({});
    if (!started) {
        judge_.add(real_now(), started.error().message);
    } else {
        io_.run();
    }
    if (refused_configuration_) {
        const auto& said = peers_.views().front().last_error_line;
        std::fputs(("starling swarm: " + printable(said) + "\n").c_str(), stderr);
        return {kExitUsage, interrupted_};
    }
    return {finish(), interrupted_};
}

void ScenarioRun::on_line(std::size_t slot, std::string_view line, const PeerEvent& event) {
    if (auto passed_on = with_peer_index(line, slot + 1)) display_.json(*passed_on);
    switch (event.kind) {
        case PeerEventKind::Listening:
            plan_.handle_event(slot + 1, "listening");
            on_listening(slot);
            break;
        case PeerEventKind::Member:
            plan_.handle_event(slot + 1, event.what);
            if (event.what != "failed" || ending_since_) break;
            for (const auto& peer : peers_.views()) {
                if (!peer.id.empty() && peer.id == event.member) {
                    view_ = peers_.see();
                    judge_.called_failed(real_now(), slot + 1, peer.index, view_);
                }
            }
            break;
        case PeerEventKind::NotJson:
            on_error_line(slot, line);
            break;
        case PeerEventKind::Final:
            plan_.handle_event(slot + 1, "final");
            break;
        case PeerEventKind::Progress:
        case PeerEventKind::Other:
            break;
    }
}

/// The others join by the founder.
void ScenarioRun::on_listening(std::size_t slot) {
    if (slot != 0 || stopped_) return;
    Entry entry;
    entry.join = peers_.views().front().listen;
    while (peers_.views().size() < options_.peers) {
        if (auto ok = peers_.start(entry); !ok) {
            judge_.add(real_now(), ok.error().message);
            return stop_all(real_now());
        }
    }
}

void ScenarioRun::on_error_line(std::size_t slot, std::string_view line) {
    judge_.error_line(real_now(), slot + 1, std::string(line));
    display_.note(fmt::format("peer {}: {}", slot + 1, printable(line)));
}

void ScenarioRun::on_exit(std::size_t slot, ProcessExit how, bool expected) {
    const auto& peer = peers_.views()[slot];
    if (slot == 0 && peer.id.empty() && how == ProcessExit{kExitUsage, 0}) {
        refused_configuration_ = true;
        return io_.stop();
    }
    // SIGKILL is ours where the end was expected. Any other bad end shows a fault of the peer, but one
    // that was interrupted before it had joined says so and exits with 1.
    const bool bad = !expected || (!how.ok() && how.signal != SIGKILL);
    if (!bad || (interrupted_ && how.signal == 0)) return;
    const auto& said = peer.last_error_line;
    judge_.add(
        real_now(),
        fmt::format("peer {} ended by itself with {}", slot + 1, how.to_string()),
        said.empty() ? std::vector<std::string>{} : std::vector{said}
    );
    tell_findings();
}

void ScenarioRun::await_signal() {
    signals_.async_wait([this](const boost::system::error_code& error, int) {
        if (error) return;
        if (stopped_) kill_at_ = real_now();  // the second signal: do not wait any more
        if (!stopped_) {
            judge_.add(real_now(), "interrupted");
            interrupted_ = true;
        }
        stop_all(real_now());
        await_signal();
    });
}

void ScenarioRun::await_tick() {
    ticker_.expires_after(peers_.slows() ? ScenarioPeers::kSlice : kTick);
    ticker_.async_wait([this](const boost::system::error_code& error) {
        if (!error) on_tick();
    });
}

void ScenarioRun::on_tick() {
    const Instant now = real_now();
    if (peers_.slows()) peers_.next_slice();
    if (now >= next_look_) {
        next_look_ = now + kTick;
        view_ = peers_.see();
        if (!ending_since_) {
            go_on(now);
        } else {
            watch_end(now);
        }
        tell_findings();
        history_.observe(now, view_);
        display_.update(fleet(), now);
    }
    await_tick();
}

void ScenarioRun::go_on(Instant now) {
    if (live_) live_->poll(now, view_);
    while (const auto order = plan_.poll(now, view_)) carry_out(now, *order);
    if (plan_.phase() == Phase::Storm || plan_.phase() == Phase::Calm) {
        judge_.observe(now, view_, settled());
    }
    const bool late = now - began_ > job_.scenario.limit;
    if (late) {
        judge_.add(now, "the run was not over after " + scenario::to_text(job_.scenario.limit));
    }
    if (late || plan_.phase() == Phase::Over) begin_end(now);
}

void ScenarioRun::carry_out(Instant now, const scenario::Order& order) {
    const auto action = plan_.action(order);
    added_.clear();
    const auto result = order.undo ? peers_.undo(action) : peers_.act(action, added_);
    plan_.answer(now, order, result);
    if (job_.surroundings.spaces != nullptr && is_link(action.verb)) {
        job_.surroundings.spaces->set(
            link_faults(plan_.entries(), job_.scenario.peers + job_.scenario.added())
        );
    }
    tell_judge(now, order);
    view_ = peers_.see();
    const auto text = (order.undo ? "end of " : "") + to_string(action);
    if (action.verb == scenario::Verb::Wait) return;
    const nlohmann::ordered_json event = {
        {"event", "fault"},
        {"do", to_string(action)},
        {"undone", order.undo},
        {"carried_out", result.has_value()},
        {"seconds", to_seconds(now - began_)}};
    display_.json(event.dump());
    display_.note("fault: " + text + (result ? "" : ": " + printable(result.error().message)));
}

void ScenarioRun::tell_judge(Instant now, const scenario::Order& order) {
    const auto& entry = plan_.entries()[order.entry];
    const auto& action = entry.step.action;
    const bool failed = entry.state == scenario::Entry::State::Failed;
    if (action.verb == scenario::Verb::Wait || failed) return;
    const auto peers = hurt_by(action, added_);
    if (order.undo) {
        judge_.fault_ends(now, peers);
    } else {
        judge_.fault_begins(now, peers, entry.holds());
    }
}

bool ScenarioRun::settled() const {
    return std::none_of(plan_.entries().begin(), plan_.entries().end(), [](const auto& entry) {
        return entry.holds();
    });
}

/// The calm is over, or the run has failed. Peers that have a target go on until they have reached it.
void ScenarioRun::begin_end(Instant now) {
    ending_since_ = now;
    if (live_) live_->abandon(now);
    if (!plan_.failure().empty()) {
        judge_.add(now, plan_.failure());
    } else if (plan_.phase() == Phase::Over) {
        judge_.calm_over(now, view_);
    }
    peers_.release();
    const bool awaits = job_.scenario.expect.reach && !options_.until.empty();
    if (!awaits || judge_.count() > 0) stop_all(now);
}

void ScenarioRun::watch_end(Instant now) {
    if (!peers_.anyone_running()) return io_.stop();
    if (!stopped_ && now - began_ > job_.scenario.limit) {
        judge_.add(
            now, "the target was not reached after " + scenario::to_text(job_.scenario.limit)
        );
        stop_all(now);
    }
    if (!kill_at_ || now < *kill_at_) return;
    if (now - *kill_at_ < kTick) judge_.add(now, "peers did not leave when they were asked to");
    peers_.signal_all(SIGKILL);
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
    const auto& findings = judge_.findings();
    for (; told_ < findings.size(); ++told_) {
        const auto& finding = findings[told_];
        const nlohmann::ordered_json event = {
            {"event", "finding"}, {"what", printable(finding.what)}, {"seconds", finding.at}};
        display_.json(event.dump());
        display_.note("finding: " + printable(finding.what));
    }
}

/// Holds the survivors against the target, if they were to reach one and were not stopped before.
void ScenarioRun::judge_end() {
    if (stopped_ || !job_.scenario.expect.reach || options_.until.empty()) return;
    const auto verdict = judge(peers_.views(), job_.target);
    if (verdict.exit_code != kExitDone) judge_.add(real_now(), verdict.reason);
}

FleetView ScenarioRun::fleet() const {
    FleetView fleet;
    fleet.seconds = to_seconds(real_now() - began_);
    fleet.until = options_.until;
    fleet.peers = peers_.views();
    return fleet;
}

int ScenarioRun::finish() {
    judge_end();
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

}  // namespace

ScenarioEnd run_scenario(const SwarmOptions& options, const ScenarioJob& job) {
    return ScenarioRun(options, job).run();
}

}  // namespace starling::peer
