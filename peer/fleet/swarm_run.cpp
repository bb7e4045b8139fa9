#include "peer/fleet/swarm_run.hpp"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <cstdio>
#include <fmt/format.h>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "peer/fleet/display.hpp"
#include "peer/fleet/outcome.hpp"
#include "peer/machine/clock.hpp"
#include "peer/machine/exit_codes.hpp"
#include "peer/machine/surroundings.hpp"

namespace starling::peer {
namespace {

constexpr auto kTick = std::chrono::milliseconds(100);
/// Peers that were asked to leave are killed after so long.
constexpr Duration kLeaveMax = std::chrono::seconds(6);
/// When all peers have given their final report, they must exit within this time.
constexpr Duration kLingerMax = std::chrono::seconds(60);

class SwarmRun {
public:
    SwarmRun(const SwarmOptions& options, const Until& target)
        : options_(options),
          target_(target),
          chaos_(options.chaos, options.peers),
          display_(options.output),
          signals_(io_),
          ticker_(io_),
          started_(real_now()) {
        view_.until = options.until;
        for (const int signal : ending_signals()) signals_.add(signal);
    }

    int run();

private:
    void start_peer(const Entry& entry);
    void on_line(std::size_t slot, std::string_view line);
    void on_error_line(std::size_t slot, std::string_view line);
    void on_exit(std::size_t slot, ProcessExit how);
    void on_listening(std::size_t slot);
    void on_member(std::size_t slot, const PeerEvent& event);
    void await_signal();
    void await_tick();
    void on_tick();
    void act(const ChaosAction& action);
    void note_chaos(const std::string& text, const char* action, const PeerView& peer);
    void stop_all(std::string reason);
    [[nodiscard]] bool anyone_running() const;
    [[nodiscard]] Verdict verdict() const;
    [[nodiscard]] std::string name_of(const std::string& id) const;

    const SwarmOptions& options_;
    const Until& target_;
    ChaosPlan chaos_;
    Display display_;
    boost::asio::io_context io_{1};
    boost::asio::signal_set signals_;
    boost::asio::steady_timer ticker_;
    Instant started_;
    FleetView view_;
    std::vector<std::unique_ptr<Process>> processes_;  ///< slot i runs peer i + 1
    std::optional<Instant> all_final_since_;
    std::optional<Instant> kill_at_;  ///< set once everybody was asked to leave
    std::string stop_reason_;
    bool refused_configuration_ = false;
};

int SwarmRun::run() {
    await_signal();
    await_tick();
    start_peer({});
    if (anyone_running()) io_.run();
    view_.seconds = to_seconds(real_now() - started_);
    const Verdict result = verdict();
    if (result.exit_code != kExitUsage) display_.finish(view_);
    if (!result.reason.empty()) {
        std::fputs(("starling swarm: " + result.reason + "\n").c_str(), stderr);
    }
    return result.exit_code;
}

Verdict SwarmRun::verdict() const {
    if (refused_configuration_) {
        const auto& said = view_.peers.front().last_error_line;
        return {kExitUsage, said.empty() ? "peer 1 refused its configuration" : said};
    }
    if (!stop_reason_.empty()) return {kExitFailed, stop_reason_};
    auto result = judge(view_.peers, target_);
    const auto missing = chaos_.missing();
    if (result.exit_code == kExitDone && !missing.empty()) {
        return {kExitFailed, "training ended before chaos could happen: " + missing};
    }
    return result;
}

void SwarmRun::start_peer(const Entry& entry) {
    const std::size_t slot = view_.peers.size();
    PeerView peer;
    peer.index = slot + 1;
    ProcessEvents events{
        [this, slot](std::string_view line) { on_line(slot, line); },
        [this, slot](std::string_view line) { on_error_line(slot, line); },
        [this, slot](ProcessExit how) { on_exit(slot, how); }};
    auto process =
        Process::spawn(io_, peer_process(options_, peer.index, entry), std::move(events));
    if (!process) {
        stop_all(process.error().message);
        return;
    }
    view_.peers.push_back(std::move(peer));
    processes_.push_back(std::move(*process));
}

void SwarmRun::on_line(std::size_t slot, std::string_view line) {
    if (auto passed_on = with_peer_index(line, slot + 1)) display_.json(*passed_on);
    const bool was_listening = !view_.peers[slot].listen.empty();
    const auto event = apply_line(view_.peers[slot], line);
    switch (event.kind) {
        case PeerEventKind::Listening:
            if (!was_listening) on_listening(slot);
            break;
        case PeerEventKind::Member:
            on_member(slot, event);
            break;
        case PeerEventKind::NotJson:
            on_error_line(slot, line);
            break;
        case PeerEventKind::Progress:
        case PeerEventKind::Final:
        case PeerEventKind::Other:
            break;
    }
}

void SwarmRun::on_listening(std::size_t slot) {
    const auto& peer = view_.peers[slot];
    if (options_.output != OutputMode::Json) {
        display_.note(fmt::format(
            "peer {} ({}) listens on {}, page on http://{}/",
            peer.index,
            peer.short_id(),
            peer.listen,
            peer.http
        ));
    }
    if (slot != 0 || kill_at_) return;
    const Entry entry{peer.listen, true};  // a copy, because start_peer() moves the views
    while (view_.peers.size() < options_.peers && !kill_at_) start_peer(entry);
}

void SwarmRun::on_member(std::size_t slot, const PeerEvent& event) {
    if (event.what == "failed") chaos_.handle_failed(slot + 1, event.member);
    // The table shows peers that come up or move. Each of N peers would report it once more.
    const bool worth_a_line = event.what != "up" && event.what != "moved";
    if (worth_a_line && options_.output != OutputMode::Json) {
        display_.note(fmt::format("peer {}: {} {}", slot + 1, name_of(event.member), event.what));
    }
}

void SwarmRun::on_error_line(std::size_t slot, std::string_view line) {
    if (line.empty()) return;
    view_.peers[slot].last_error_line = std::string(line);
    display_.note(fmt::format("peer {}: {}", slot + 1, line));
}

void SwarmRun::on_exit(std::size_t slot, ProcessExit how) {
    auto& peer = view_.peers[slot];
    peer.exit = how;
    const bool expected = peer.killed_by_chaos || kill_at_ || (how.ok() && peer.final_report);
    // Only the peer knows which datasets, models and options exist. If one is wrong, it says so and
    // exits before it listens. Then the user has made the mistake here, too.
    if (slot == 0 && peer.listen.empty() && how == ProcessExit{kExitUsage, 0}) {
        refused_configuration_ = true;
    } else if (!expected) {
        const auto& said = peer.last_error_line;
        display_.note(fmt::format(
            "peer {} ended with {}{}", slot + 1, how.to_string(), said.empty() ? "" : ": " + said
        ));
    }
    if (!anyone_running()) io_.stop();
}

void SwarmRun::await_signal() {
    signals_.async_wait([this](const boost::system::error_code& error, int) {
        if (error) return;
        if (kill_at_) kill_at_ = real_now();  // the second signal: do not wait any more
        stop_all("interrupted");
        await_signal();
    });
}

void SwarmRun::await_tick() {
    ticker_.expires_after(kTick);
    ticker_.async_wait([this](const boost::system::error_code& error) {
        if (!error) on_tick();
    });
}

void SwarmRun::on_tick() {
    const Instant now = real_now();
    view_.seconds = to_seconds(now - started_);
    if (kill_at_ && now >= *kill_at_) {
        for (const auto& process : processes_) process->send_signal(SIGKILL);
    }
    const bool all_final =
        std::all_of(view_.peers.begin(), view_.peers.end(), [](const PeerView& peer) {
            return !peer.living() || peer.final_report;
        });
    if (!all_final) all_final_since_.reset();
    if (all_final && !all_final_since_) all_final_since_ = now;
    if (all_final && now - *all_final_since_ > kLingerMax) {
        stop_all("peers did not exit after their final report");
    }
    if (!kill_at_) {
        if (const auto action = chaos_.poll_action(now, view_.peers)) act(*action);
    }
    display_.update(view_, now);
    await_tick();
}

void SwarmRun::act(const ChaosAction& action) {
    const std::size_t slot = action.peer - 1;
    if (action.kind == ChaosAction::Kind::Kill) {
        auto& peer = view_.peers[slot];
        peer.killed_by_chaos = true;
        processes_[slot]->send_signal(SIGKILL);
        note_chaos(
            fmt::format("killed peer {} ({}) with SIGKILL", peer.index, peer.short_id()),
            "kill",
            peer
        );
        return;
    }
    const std::string address = view_.peers[slot].listen;
    start_peer({address, false});
    if (kill_at_) return;
    const auto& newcomer = view_.peers.back();
    note_chaos(fmt::format("peer {} joins by {}", newcomer.index, address), "join", newcomer);
}

void SwarmRun::note_chaos(const std::string& text, const char* action, const PeerView& peer) {
    const nlohmann::ordered_json event = {
        {"event", "chaos"},
        {"action", action},
        {"peer", peer.index},
        {"id", peer.id},
        {"text", text}};
    display_.json(event.dump());
    display_.note("chaos: " + text);
}

void SwarmRun::stop_all(std::string reason) {
    if (kill_at_) return;
    kill_at_ = real_now() + kLeaveMax;
    stop_reason_ = std::move(reason);
    for (const auto& process : processes_) process->send_signal(SIGTERM);
}

bool SwarmRun::anyone_running() const {
    return std::any_of(view_.peers.begin(), view_.peers.end(), [](const PeerView& peer) {
        return !peer.exit;
    });
}

std::string SwarmRun::name_of(const std::string& id) const {
    for (const auto& peer : view_.peers) {
        if (!id.empty() && peer.id == id) return fmt::format("peer {}", peer.index);
    }
    return id.substr(0, 8);
}

}  // namespace

int run_swarm(const SwarmOptions& options, const Until& target) {
    return SwarmRun(options, target).run();
}

}  // namespace starling::peer
