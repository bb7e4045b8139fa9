#include "peer/scenario/watch.hpp"

#include "peer/scenario/links.hpp"

namespace starling::scenario {

void watch_order(
    Judge& judge,
    const Plan& plan,
    Instant now,
    const Order& order,
    const std::vector<std::size_t>& added
) {
    const auto& entry = plan.entries()[order.entry];
    const auto& action = entry.step.action;
    if (action.verb == Verb::Wait || entry.state == Entry::State::Failed) return;
    const auto peers = hurt_by(action, added);
    if (order.undo) return judge.fault_ends(now, peers);
    judge.fault_begins(now, peers, entry.holds());
    if (action.verb != Verb::Term) return;
    for (const auto peer : peers) judge.says_goodbye(now, peer);
}

void watch_peers(Judge& judge, Plan& plan, Instant now, const View& view) {
    if (plan.quiet()) judge.observe_quiet(now, view);
    plan.slow_down(judge.slowness());
    const bool calm = plan.phase() == Phase::Calm;
    if (!calm && plan.phase() != Phase::Storm) return;
    judge.observe(now, view, plan.settled());
    if (calm && plan.settled()) judge.observe_calm(now, view);
}

bool watch_limit(Judge& judge, const Scenario& scenario, Instant now, Duration lasted) {
    if (lasted <= scenario.limit) return false;
    judge.add(now, "the run was not over after " + to_text(scenario.limit));
    return true;
}

void watch_end(
    Judge& judge, const Plan& plan, Instant now, const View& view, const History& history
) {
    if (!plan.failure().empty()) {
        judge.add(now, plan.failure());
    } else if (plan.phase() == Phase::Over) {
        judge.calm_over(now, view, history);
    }
}

}  // namespace starling::scenario
