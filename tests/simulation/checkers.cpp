#include "tests/simulation/checkers.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "membership/config.hpp"

namespace starling::simulation {

namespace {

std::string to_string(const Incarnation& incarnation) {
    return std::to_string(incarnation.epoch) + "." + std::to_string(incarnation.counter);
}

}  // namespace

Checkers::Checkers(Swarm& swarm, const Expectations& expectations)
    : swarm_(swarm),
      expectations_(expectations),
      states_(swarm.size(), NodeState::Absent),
      has_left_(swarm.size(), false),
      own_(swarm.size()),
      changed_(swarm.size()),
      initiating_since_(swarm.size()),
      responding_since_(swarm.size()),
      rates_(swarm.size()),
      gone_(swarm.size(), std::vector<std::optional<Instant>>(swarm.size())) {
    swarm.observe(*this);
}

void Checkers::report(std::string invariant, NodeIndex node, std::string detail) {
    if (violation_) return;
    violation_ = {swarm_.now(), std::move(invariant), node, std::move(detail)};
}

void Checkers::on_node_state(Instant now, NodeIndex at, NodeState state) {
    const auto before = std::exchange(states_[at], state);
    const bool heard =
        swarm_.network().whole() &&
        std::find(states_.begin(), states_.end(), NodeState::Paused) == states_.end();
    if (state == NodeState::Leaving) has_left_[at] = heard && !ignores_leaves_;
    if (state == NodeState::Paused) excuse_leaves();
    if (state == NodeState::Running && before == NodeState::Absent) has_left_[at] = false;
    initiating_since_[at].reset();
    responding_since_[at].reset();
    rates_[at] = {now, 0};
    changed_[at] = now;
    if (state == NodeState::Absent) gone_[at].assign(gone_[at].size(), std::nullopt);
}

void Checkers::on_member_event(
    Instant now, NodeIndex at, membership::EventKind kind, NodeIndex about
) {
    const auto who = "node " + std::to_string(about);
    const bool left = kind == membership::EventKind::Left;
    if (kind == membership::EventKind::Up) gone_[at][about].reset();
    if (kind == membership::EventKind::Failed || left) gone_[at][about] = now;
    if (kind == membership::EventKind::Suspected) {
        ++suspicions_;
        if (expectations_.no_suspicion) report("S12 no fault, no suspicion", at, who);
    }
    if (kind != membership::EventKind::Failed) return;
    if (has_left_[about]) report("S9 a leave is no failure", at, who + " had left");
    if (states_[about] == NodeState::Running) ++failures_of_running_;
}

void Checkers::on_datagram(Instant now, NodeIndex from, std::size_t bytes) {
    if (bytes > membership::kDatagramMax) {
        report("S6 datagram size", from, std::to_string(bytes) + " bytes");
    }
    auto& rate = rates_[from];
    if (now - rate.second >= std::chrono::seconds(1)) rate = {now, 0};
    if (++rate.count > expectations_.datagrams_per_second_max) {
        report("S7 load", from, std::to_string(rate.count) + " datagrams within a second");
    }
}

void Checkers::on_exchange(Instant now, NodeIndex at, const gossip::ExchangeEvent& event) {
    auto& since = event.initiator ? initiating_since_ : responding_since_;
    since[at].reset();
    if (event.outcome == gossip::Outcome::Committed) ++committed_;
    // A paused node cannot look at its deadline before it runs again.
    const bool awake = now - event.duration >= changed_[at];
    if (awake && event.duration > expectations_.exchange_max) {
        report("A4 every exchange ends", at, std::to_string(to_seconds(event.duration)) + " s");
    }
    check_accusation(at, event);
    check_choice(now, at, event);
}

void Checkers::check_accusation(NodeIndex at, const gossip::ExchangeEvent& event) {
    if (!is_strike(event.misdeed)) return;
    ++misdeeds_;
    // A liar gets answers that do not fit what it meant to send, so it accuses honest nodes.
    if (swarm_.lies(swarm_.index(event.partner)) || swarm_.lies(at)) return;
    if (expectations_.allow_rejected && !swarm_.has_liars()) return;  // replays
    if (expectations_.allow_divergence) return;
    report(
        "A7 the honest are not accused",
        at,
        "node " + std::to_string(swarm_.index(event.partner)) + ": " +
            std::string(to_string(event.misdeed))
    );
}

void Checkers::check_choice(Instant now, NodeIndex at, const gossip::ExchangeEvent& event) {
    const auto partner = swarm_.index(event.partner);
    const auto who = "node " + std::to_string(partner);
    if (swarm_.misfit(at) != swarm_.misfit(partner)) {
        if (event.outcome == gossip::Outcome::Refused) ++refusals_;
        const bool traded = event.chunks_applied > 0 || event.bytes > 0;
        if (traded || event.outcome == gossip::Outcome::Committed) {
            report("A10 another layout is refused", at, who);
        }
    }
    const auto& gone = gone_[at][partner];
    // The node's own clock measures durations. It may be off by a hundredth.
    const auto begun = now - event.duration + event.duration / 50;
    if (event.initiator && gone && begun > *gone && event.duration > Duration::zero()) {
        report("A9 who is gone is not chosen", at, who);
    }
}

void Checkers::on_rejected(Instant, NodeIndex at, const Fault& fault) {
    if (!expectations_.allow_rejected) report("A7 rejects its own kind", at, fault.message);
}

void Checkers::look() {
    for (NodeIndex i = 0; i < swarm_.size(); ++i) {
        if (!swarm_.exists(i)) continue;
        const auto own = swarm_.swim(i).incarnation();
        if (own < own_[i]) report("S4 incarnations never fall", i, to_string(own));
        own_[i] = own;
    }
    for (NodeIndex i = 0; i < swarm_.size(); ++i) {
        if (!swarm_.exists(i)) continue;
        look_at_incarnations(i);
        look_at_exchange(i);
        look_at_memory(i);
        look_at_values(i);
    }
}

void Checkers::look_at_memory(NodeIndex at) {
    if (!swarm_.averages()) return;
    const auto held = swarm_.averager(at).bytes_held();
    if (held > expectations_.held_max) {
        report("A5 memory is bounded", at, std::to_string(held) + " bytes for exchanges");
    }
}

void Checkers::look_at_values(NodeIndex at) {
    if (!swarm_.averages_floats() || expectations_.allow_divergence) return;
    for (const float value : swarm_.floats(at).values()) {
        if (std::abs(value) <= expectations_.value_max) continue;  // false for a NaN
        report("A7 no such value reaches a model", at, std::to_string(value));
        return;
    }
}

void Checkers::look_at_incarnations(NodeIndex at) {
    for (const auto& member : swarm_.swim(at).members()) {
        const auto about = swarm_.index(member.id);
        // A node that is gone may have raised its counter after our last look, but not its epoch.
        const bool above = swarm_.exists(about) ? member.incarnation > own_[about]
                                                : member.incarnation.epoch > swarm_.epoch(about);
        if (!above) continue;
        report(
            "S4 incarnations belong to their owner",
            at,
            "knows " + to_string(member.incarnation) + " of node " + std::to_string(about) +
                " which is at " + to_string(own_[about])
        );
    }
}

void Checkers::look_at_exchange(NodeIndex at) {
    if (swarm_.state(at) != NodeState::Running || !swarm_.averages()) return;
    const double left = swarm_.averager(at).share_left();
    if (left < -1e-9) report("A11 shares add up to at most 1", at, std::to_string(left) + " left");
    const auto check = [&](bool busy, std::optional<Instant>& since, const char* role) {
        if (!busy) return since.reset();
        if (!since) since = swarm_.now();
        if (swarm_.now() - *since <= expectations_.exchange_max) return;
        report("A4 every exchange ends", at, std::string("still ") + role);
    };
    check(swarm_.averager(at).initiating(), initiating_since_[at], "initiating");
    check(swarm_.averager(at).responding(), responding_since_[at], "responding");
}

void Checkers::check_ledger() {
    const auto unequal = swarm_.book().unequal();
    if (unequal > 0) report("A1 the mean is kept", 0, std::to_string(unequal) + " uneven pairs");
    for (NodeIndex i = 0; i < swarm_.size(); ++i) {
        if (!swarm_.exists(i)) continue;
        const auto& averager = swarm_.averager(i);
        if (averager.initiating() || averager.responding()) {
            report("A4 every exchange ends", i, "in an exchange long after the last one began");
        }
        // The book works only for exact integers.
        if (swarm_.averages_floats()) continue;
        const auto counted = averager.counters().half_applied_chunks;
        const auto half_applied = swarm_.book().open(i);
        if (half_applied <= counted) continue;
        report(
            "A2 half-applied chunks are counted",
            i,
            std::to_string(half_applied) + " half-applied, its ledger says " +
                std::to_string(counted)
        );
    }
}

}  // namespace starling::simulation
