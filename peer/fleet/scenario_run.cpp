#include "peer/fleet/scenario_run.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/json_text.hpp"
#include "base/printable.hpp"
#include "peer/fleet/scenario_runner.hpp"
#include "peer/machine/exit_codes.hpp"
#include "peer/scenario/links.hpp"
#include "peer/scenario/watch.hpp"

namespace starling::peer {
namespace {

using scenario::Phase;

constexpr Duration kTick = std::chrono::milliseconds(100);
constexpr Duration kUsageEvery = std::chrono::seconds(1);

}  // namespace

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
        const auto why = said.empty() ? "peer 1 refused its configuration" : printable(said);
        std::fputs(("starling swarm: " + why + "\n").c_str(), stderr);
        return {kExitUsage, interrupted_, {}};
    }
    const int code = finish();
    return {code, interrupted_, accuracy()};
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
            note_member(slot, event);
            if (!ending_since_) on_accused(slot, event);
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

/// The table shows peers that come up or move. Each of N peers would report it once more.
void ScenarioRun::note_member(std::size_t slot, const PeerEvent& event) {
    if (event.what == "up" || event.what == "moved" || options_.output == OutputMode::Json) return;
    auto who = event.member.substr(0, 8);
    for (const auto& peer : peers_.views()) {
        if (!peer.id.empty() && peer.id == event.member) who = fmt::format("peer {}", peer.index);
    }
    display_.note(fmt::format("peer {}: {} {}", slot + 1, printable(who), printable(event.what)));
}

/// Shows the judge whom a peer suspects or calls failed.
void ScenarioRun::on_accused(std::size_t slot, const PeerEvent& event) {
    const bool failed = event.what == "failed";
    if (!failed && event.what != "suspected") return;
    for (const auto& peer : peers_.views()) {
        if (peer.id.empty() || peer.id != event.member) continue;
        view_ = peers_.see();
        if (failed) judge_.called_failed(real_now(), slot + 1, peer.index, view_);
        if (!failed) judge_.suspected(real_now(), slot + 1, peer.index, view_);
    }
}

/// The others join by the founder.
void ScenarioRun::on_listening(std::size_t slot) {
    const auto& peer = peers_.views()[slot];
    if (options_.output != OutputMode::Json && job_.surroundings.spaces == nullptr) {
        display_.note(fmt::format(
            "peer {} ({}) listens on {}, page on http://{}/",
            peer.index,
            peer.short_id(),
            printable(peer.listen),
            printable(peer.http)
        ));
    }
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
    if (job_.plain) {  // the end is judged, and the others go on
        return display_.note(fmt::format(
            "peer {} ended with {}{}",
            slot + 1,
            how.to_string(),
            said.empty() ? "" : ": " + printable(said)
        ));
    }
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
        if (now >= next_usage_) {
            next_usage_ = now + kUsageEvery;
            peers_.look_at_usage();
        }
        if (auto moved = peers_.restart_moved(); !moved) judge_.add(now, moved.error().message);
        view_ = peers_.see();
        if (!ending_since_) {
            go_on(now);
        } else {
            await_end(now);
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
    watch_peers(judge_, plan_, now, view_);
    const bool late = watch_limit(judge_, job_.scenario, now, now - began_);
    const bool over = plan_.phase() == Phase::Over;
    const bool early = !over && all_ended();
    if (early) note_early_end(now);
    if (late || over || early) begin_end(now);
}

/// Returns whether nobody runs, and not because somebody was killed who is to return.
bool ScenarioRun::all_ended() const {
    const bool any = std::any_of(view_.peers.begin(), view_.peers.end(), [](const auto& peer) {
        return peer.ended;
    });
    return any && !peers_.anyone_running();
}

/// Peers that have a target may reach it before everything was done to them.
void ScenarioRun::note_early_end(Instant now) {
    for (const auto& entry : plan_.entries()) {
        if (entry.state != scenario::Entry::State::Waiting || entry.step.optional) continue;
        judge_.add(
            now,
            fmt::format("training ended before '{}' could be done", to_string(entry.step.action))
        );
        return;
    }
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
    watch_order(judge_, plan_, now, order, added_);
    view_ = peers_.see();
    const auto text = (order.undo ? "end of " : "") + to_string(action);
    if (action.verb == scenario::Verb::Wait) return;
    const nlohmann::ordered_json event = {
        {"event", "fault"},
        {"do", to_string(action)},
        {"undone", order.undo},
        {"carried_out", result.has_value()},
        {"seconds", to_seconds(now - began_)}};
    display_.json(json_text(event));
    display_.note("fault: " + text + (result ? "" : ": " + printable(result.error().message)));
}

ScenarioEnd run_scenario(const SwarmOptions& options, const ScenarioJob& job) {
    return ScenarioRun(options, job).run();
}

}  // namespace starling::peer
