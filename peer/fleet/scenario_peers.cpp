#include "peer/fleet/scenario_peers.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fmt/format.h>
#include <fstream>
#include <system_error>
#include <utility>

#include "base/check.hpp"
#include "peer/scenario/links.hpp"

namespace starling::peer {

using scenario::Verb;

Result<void> ScenarioPeers::start(const Entry& entry) {
    const std::size_t slot = views_.size();
    views_.emplace_back().index = slot + 1;
    slots_.emplace_back().with_dataset = entry.with_dataset;
    return spawn(slot, entry);
}

Result<void> ScenarioPeers::spawn(std::size_t slot, Entry entry) {
    if (spaces_ != nullptr) {
        entry.listen = spaces_->listen(slot + 1);
        entry.net_space = spaces_->space(slot + 1);
        spaces_->set_dark(slot + 1, false);
    }
    ProcessEvents events{
        [this, slot](std::string_view line) {
            const auto event = apply_line(views_[slot], line);
            if (!views_[slot].listen.empty()) slots_[slot].listened = views_[slot].listen;
            events_.on_line(slot, line, event);
        },
        [this, slot](std::string_view line) {
            if (line.empty()) return;
            views_[slot].last_error_line = std::string(line);
            events_.on_error_line(slot, line);
        },
        [this, slot](ProcessExit how) { handle_exit(slot, how); }};
    auto process = Process::spawn(io_, peer_process(options_, slot + 1, entry), std::move(events));
    if (!process) {
        views_[slot].exit = ProcessExit{1, 0};
        return process.error();
    }
    slots_[slot].process = std::move(*process);
    return {};
}

void ScenarioPeers::handle_exit(std::size_t slot, ProcessExit how) {
    auto& view = views_[slot];
    view.exit = how;
    const bool done = how.ok() && view.final_report;
    events_.on_exit(slot, how, slots_[slot].may_end || released_ || done);
}

/// Returns where somebody else listens, or listened before all died. Who runs goes first.
std::string ScenarioPeers::address_of_another(std::size_t slot) const {
    std::string last;
    for (std::size_t i = 0; i < views_.size(); ++i) {
        if (i == slot) continue;
        if (views_[i].living() && !views_[i].listen.empty()) return views_[i].listen;
        if (last.empty()) last = slots_[i].listened;
    }
    return last;
}

/// Starts a peer with the state of its last life. It resumes by itself; one that was killed before it had
/// written a state joins the others, and never founds a second swarm.
Result<void> ScenarioPeers::restart(std::size_t slot) {
    if (!views_[slot].exit) return {};  // something else has started it before
    Entry entry;
    entry.with_dataset = slots_[slot].with_dataset;
    entry.join = seeds_gone_.empty() || slot == 0 ? address_of_another(slot) : seeds_gone_;
    PeerView fresh;
    fresh.index = slot + 1;
    fresh.id = views_[slot].id;
    views_[slot] = std::move(fresh);
    Slot next;
    next.with_dataset = slots_[slot].with_dataset;
    next.listened = slots_[slot].listened;
    slots_[slot] = std::move(next);
    return spawn(slot, entry);
}

Result<void> ScenarioPeers::add(const scenario::Action& action, std::vector<std::size_t>& added) {
    STARLING_CHECK(action.who.peers.size() >= 1);
    const auto& seed = views_[action.who.peers.front() - 1];
    if (seed.listen.empty()) {
        return fail(FaultCode::NotFound, fmt::format("peer {} does not listen yet", seed.index));
    }
    Entry entry;
    entry.join = seed.listen;  // a copy: start() moves the views
    entry.with_dataset = false;
    for (std::size_t i = 0; i < action.count; ++i) {
        if (auto ok = start(entry); !ok) return ok;
        added.push_back(views_.size());
    }
    return {};
}

void ScenarioPeers::end(std::size_t peer, Verb verb) {
    auto& slot = slots_[peer - 1];
    slot.may_end = true;
    slot.slowed = 0;
    views_[peer - 1].hit = true;
    if (verb == Verb::PowerOff) spaces_->set_dark(peer, true);
    if (verb == Verb::Term) go_on(slot);
    slot.process->send_signal(verb == Verb::Term ? SIGTERM : SIGKILL);
}

Result<void> ScenarioPeers::hit(const scenario::Action& action, std::size_t peer) {
    auto& slot = slots_[peer - 1];
    switch (action.verb) {
        case Verb::Kill:
        case Verb::Term:
        case Verb::PowerOff:
            end(peer, action.verb);
            return {};
        case Verb::SeedsGone:
            seeds_gone_ = slot.listened;
            end(peer, Verb::Kill);
            return {};
        case Verb::AddressChange:
            end(peer, Verb::Kill);
            slot.moves = true;  // restart_moved() follows when it has ended
            return {};
        case Verb::Reset:
            spaces_->break_streams(peer, BrokenStreams::How::Reset);
            return {};
        case Verb::HalfOpen:
            spaces_->break_streams(peer, BrokenStreams::How::HalfOpen);
            return {};
        case Verb::Restart:
            return restart(peer - 1);
        case Verb::Pause:
            if (auto ok = guard(slot); !ok) return ok;
            slot.slowed = 0;
            slot.paused = true;
            slot.process->send_signal(SIGSTOP);
            return {};
        case Verb::Resume:
            go_on(slot);
            return {};
        case Verb::Slow:
            if (auto ok = guard(slot); !ok) return ok;
            slot.slowed = action.value;
            return {};
        case Verb::DiskFull:
        case Verb::DiskReadOnly:
            return break_disk(action.verb, peer, true);
        case Verb::FdLimit:
            return limit(slot, slot.descriptors, static_cast<std::uint64_t>(action.value));
        case Verb::Memory:
            slot.may_end = true;  // a peer that gets no memory says so and ends
            return limit(slot, slot.memory, static_cast<std::uint64_t>(action.value));
        case Verb::Corrupt:
            return corrupt_checkpoint(peer);
        case Verb::Wait:
            return {};
        default:
            return fail(FaultCode::Unsupported, "this cannot be done to a process");
    }
}

Result<void> ScenarioPeers::act(const scenario::Action& action, std::vector<std::size_t>& added) {
    if (is_link(action.verb)) return {};  // set_links() follows from what holds
    if (action.verb == Verb::Add) return add(action, added);
    for (const auto peer : action.who.peers) {
        if (auto ok = hit(action, peer); !ok) return ok;
    }
    return {};
}

/// Ends what an action does to one peer.
Result<void> ScenarioPeers::release(Verb verb, std::size_t peer) {
    auto& slot = slots_[peer - 1];
    switch (verb) {
        case Verb::Kill:
        case Verb::PowerOff:
        case Verb::SeedsGone:
            if (!views_[peer - 1].exit) {
                return fail(FaultCode::Busy, fmt::format("peer {} does not end", peer));
            }
            return restart(peer - 1);
        case Verb::DiskFull:
        case Verb::DiskReadOnly:
            return break_disk(verb, peer, false);
        case Verb::FdLimit:
            return limit(slot, slot.descriptors, std::nullopt);
        case Verb::Memory:
            return limit(slot, slot.memory, std::nullopt);
        case Verb::Pause:
        case Verb::Slow:
            go_on(slot);
            return {};
        default:
            return {};
    }
}

Result<void> ScenarioPeers::undo(const scenario::Action& action) {
    if (is_link(action.verb)) return {};
    if (action.verb == Verb::SeedsGone) seeds_gone_.clear();
    for (const auto peer : action.who.peers) {
        if (auto ok = release(action.verb, peer); !ok) return ok;
    }
    return {};
}

Result<void> ScenarioPeers::restart_moved() {
    for (std::size_t i = 0; i < slots_.size(); ++i) {
        if (!slots_[i].moves || !views_[i].exit) continue;
        if (spaces_ != nullptr) {
            if (auto ok = spaces_->move(i + 1); !ok) return ok;
        }
        if (auto ok = restart(i); !ok) return ok;
    }
    return {};
}

Result<void> ScenarioPeers::break_disk(Verb verb, std::size_t peer, bool broken) {
    if (disks_ == nullptr) {
        return fail(
            FaultCode::Unsupported,
            "only a scenario whose file has disk-full or disk-read-only makes disks"
        );
    }
    return verb == Verb::DiskFull ? disks_->set_full(peer, broken)
                                  : disks_->set_read_only(peer, broken);
}

/// Nothing: as much as before.
Result<void> ScenarioPeers::limit(
    const Slot& slot, Limit& limit, std::optional<std::uint64_t> most
) {
    if (!slot.process) return {};
    rlimit limits{};
    const auto pid = slot.process->pid();
    if (::prlimit(pid, limit.resource, nullptr, &limits) == 0) {
        if (!limit.before) limit.before = limits.rlim_cur;
        limits.rlim_cur = std::min<rlim_t>(most.value_or(*limit.before), limits.rlim_max);
        if (::prlimit(pid, limit.resource, &limits, nullptr) == 0) return {};
    }
    // Who has ended meanwhile needs no limit any more.
    if (!most && errno == ESRCH) return {};
    return fail(
        FaultCode::Io, fmt::format("limits of a peer: {}", std::generic_category().message(errno))
    );
}

/// Changes one byte in the middle, as a disk that decays does.
Result<void> ScenarioPeers::corrupt_checkpoint(std::size_t peer) {
    const auto path = fmt::format("{}/peer-{}/checkpoint", options_.state, peer);
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary | std::ios::ate);
    const auto size = static_cast<std::streamoff>(file.tellg());
    if (!file || size <= 0) return fail(FaultCode::NotFound, path + ": there is no checkpoint");
    file.seekg(size / 2);
    const int byte = file.get();
    file.seekp(size / 2);
    file.put(static_cast<char>(static_cast<unsigned>(byte) ^ 0x55U));
    file.close();
    if (!file) return fail(FaultCode::Io, path + ": cannot be written");
    return {};
}

/// Has to come before a peer is stopped.
Result<void> ScenarioPeers::guard(const Slot& slot) {
    if (!guard_) {
        auto started = StopGuard::start();
        if (!started) return started.error();
        guard_.emplace(*std::move(started));
    }
    return guard_->watch(slot.process->pid());
}

void ScenarioPeers::go_on(Slot& slot) {
    slot.paused = false;
    slot.slowed = 0;
    if (slot.process) slot.process->send_signal(SIGCONT);
}

bool ScenarioPeers::slows() const {
    return std::any_of(slots_.begin(), slots_.end(), [](const Slot& slot) {
        return slot.slowed > 0;
    });
}

void ScenarioPeers::next_slice() {
    ++slice_;
    for (auto& slot : slots_) {
        if (slot.slowed == 0) continue;
        const bool runs = slice_ % static_cast<std::uint64_t>(slot.slowed) == 0;
        slot.process->send_signal(runs ? SIGCONT : SIGSTOP);
    }
}

void ScenarioPeers::release() {
    released_ = true;
    for (auto& slot : slots_) go_on(slot);
}

void ScenarioPeers::signal_all(int signal) {
    for (auto& slot : slots_) {
        if (slot.process) slot.process->send_signal(signal);
    }
}

bool ScenarioPeers::anyone_running() const {
    return std::any_of(views_.begin(), views_.end(), [](const PeerView& peer) {
        return !peer.exit;
    });
}

void ScenarioPeers::look_at_usage() {
    for (std::size_t i = 0; i < slots_.size(); ++i) {
        if (views_[i].exit || !slots_[i].process) continue;
        slots_[i].uses = process_usage(slots_[i].process->pid()).value_or(ProcessUsage{});
    }
}

scenario::View ScenarioPeers::see() const {
    scenario::View view;
    for (std::size_t i = 0; i < views_.size(); ++i) {
        const auto& peer = views_[i];
        auto& seen = view.peers.emplace_back();
        seen.started = true;
        seen.running = !peer.exit;
        // A peer that was killed counts no more at once, and can be started again once it has ended.
        seen.leaving = peer.hit && !peer.exit;
        seen.paused = slots_[i].paused;
        seen.ended = peer.final_report.has_value() && !peer.hit;
        seen.state = peer.state;
        seen.trains = peer.state == "training" && !peer.hit;
        seen.steps = peer.steps;
        seen.exchanges = peer.exchanges;
        seen.shards = peer.shards;
        seen.bytes = peer.bytes;
        if (seen.running) {
            seen.memory = slots_[i].uses.memory;
            seen.descriptors = slots_[i].uses.descriptors;
        }
        seen.members = static_cast<std::size_t>(peer.members);
        seen.ghost = peer.ghost;
        seen.spread = peer.spread;
        seen.accuracy = peer.accuracy;
        seen.loss = peer.loss;
    }
    return view;
}

}  // namespace starling::peer
