#include "peer/virtual/detection.hpp"

#include <algorithm>
#include <utility>

namespace starling::peer_virtual {

Detection::Detection(const Swarm& swarm)
    : swarm_(swarm),
      states_(swarm.size(), NodeState::Absent),
      calm_since_(swarm.size()),
      open_(swarm.size()) {}

void Detection::disturb(Instant now) {
    std::fill(calm_since_.begin(), calm_since_.end(), now);
    for (auto& open : open_) {
        if (open) crashes_[open->crash].masked = true;
        open.reset();
    }
}

void Detection::on_node_state(Instant now, NodeIndex at, NodeState state) {
    const auto before = std::exchange(states_[at], state);
    calm_since_[at] = now;
    if (state == NodeState::Running && open_[at]) {
        crashes_[open_[at]->crash].masked = true;
        open_[at].reset();
    }
    if (state != NodeState::Running) {
        for (auto& open : open_) {
            if (open) stop_waiting_for(now, *open, at);
        }
    }
    if (state == NodeState::Absent && before != NodeState::Leaving) open(now, at);
    for (auto& open : open_) {
        if (open && open->remaining == 0) open.reset();
    }
}

void Detection::open(Instant now, NodeIndex node) {
    Open open{crashes_.size(), std::vector<bool>(swarm_.size(), false), 0};
    crashes_.push_back({node, now, std::nullopt, std::nullopt, false});
    for (NodeIndex i = 0; i < swarm_.size(); ++i) {
        if (i == node || states_[i] != NodeState::Running) continue;
        const auto member = swarm_.swim(i).find(swarm_.id(node));
        if (!member || member->state >= membership::MemberState::Failed) continue;
        open.waits_for[i] = true;
        ++open.remaining;
    }
    crashes_.back().masked = open.remaining == 0;
    open_[node] = std::move(open);
}

void Detection::stop_waiting_for(Instant now, Open& open, NodeIndex witness) {
    if (!open.waits_for[witness]) return;
    open.waits_for[witness] = false;
    auto& crash = crashes_[open.crash];
    if (--open.remaining > 0) return;
    if (crash.first) {
        crash.all = now - crash.at;
    } else {
        crash.masked = true;
    }
}

void Detection::on_member_event(
    Instant now, NodeIndex at, membership::EventKind kind, NodeIndex about
) {
    const bool failed = kind == membership::EventKind::Failed;
    if (!failed && kind != membership::EventKind::Suspected) return;
    if (states_[about] == NodeState::Absent) {
        if (failed) learned(now, at, about);
        return;
    }
    const bool calm = now - calm_since_[at] >= kGrace && now - calm_since_[about] >= kGrace;
    if (!calm || states_[about] != NodeState::Running) return;
    ++(failed ? false_alarms_.failures : false_alarms_.suspicions);
}

void Detection::learned(Instant now, NodeIndex at, NodeIndex about) {
    auto& open = open_[about];
    if (!open || !open->waits_for[at]) return;
    auto& crash = crashes_[open->crash];
    if (!crash.first) crash.first = now - crash.at;
    stop_waiting_for(now, *open, at);
    if (open->remaining == 0) open.reset();
}

}  // namespace starling::peer_virtual
