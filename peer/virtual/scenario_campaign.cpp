#include "peer/virtual/scenario_campaign.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <map>
#include <set>
#include <utility>

#include "base/check.hpp"
#include "peer/scenario/history.hpp"
#include "peer/scenario/judge.hpp"
#include "peer/scenario/links.hpp"
#include "peer/scenario/plan.hpp"
#include "peer/scenario/watch.hpp"
#include "peer/virtual/scenario_faults.hpp"

namespace starling::peer_virtual {
namespace {

using scenario::Action;
using scenario::Order;
using scenario::PeerSeen;
using scenario::Phase;
using scenario::Verb;

constexpr Duration kTick = std::chrono::milliseconds(100);
constexpr Duration kJoinEvery = std::chrono::milliseconds(20);
constexpr Duration kReportEvery = std::chrono::seconds(1);
/// Where clocks are moved, machines have run for so long before the scenario begins.
constexpr Duration kUptime = std::chrono::hours(1);

SwarmOptions with_peers(
    SwarmOptions options,
    const scenario::Scenario& scenario,
    const std::vector<scenario::Step>& steps
) {
    options.peers = scenario.peers + scenario.added();
    options.seed = scenario.seed;
    for (const auto& step : steps) {
        if (step.action.verb != Verb::Clock) continue;
        if (options.clock_start == Duration::zero()) options.clock_start = kUptime;
        if (goes_back(step.action)) options.clock_start -= step.action.time;
    }
    return options;
}

}  // namespace

class ScenarioCampaign::Impl final : public Observer {
public:
    Impl(scenario::Scenario scenario, std::vector<scenario::Step> steps, SwarmOptions options)
        : scenario_(std::move(scenario)),
          options_(with_peers(std::move(options), scenario_, steps)),
          swarm_(options_),
          faults_(swarm_, scenario_),
          plan_(scenario_, std::move(steps)),
          judge_(scenario_),
          finished_(options_.peers) {
        swarm_.observe(*this);
        judge_.know_shards(options_.training->shards);
    }

    void run(const std::function<void(Instant, Phase)>& progress);

    void on_member_event(Instant now, NodeIndex at, membership::EventKind kind, NodeIndex about)
        override;
    void on_session(Instant now, NodeIndex at, SessionNews news, const Fault* why) override;

    [[nodiscard]] scenario::Run result() const {
        return {
            scenario_,
            plan_,
            judge_,
            history_,
            scenario::Mode::Simulate,
            to_seconds(swarm_.now().time_since_epoch()),
            Instant{},
            notes_};
    }

    [[nodiscard]] std::uint64_t trace_hash() const { return swarm_.trace_hash(); }

private:
    void start_peers();
    void look();
    [[nodiscard]] PeerSeen see(NodeIndex node) const;
    void carry_out(const Order& order);
    void finish();
    void look_at_mean();
    [[nodiscard]] std::map<NodeIndex, double> counting() const;

    scenario::Scenario scenario_;
    SwarmOptions options_;
    Swarm swarm_;
    ScenarioFaults faults_;
    scenario::Plan plan_;
    scenario::Judge judge_;
    scenario::History history_;
    scenario::View view_;
    std::vector<bool> finished_;
    std::vector<std::string> notes_;

    /// What averaging had done to a peer when we last looked.
    struct Averaged {
        std::vector<double> sums;
        double squares = 0;
    };

    std::map<NodeIndex, Averaged> averaged_;
    std::map<NodeIndex, double>
        counted_;  ///< peers that counted in the sum then, and their weights
};

void ScenarioCampaign::Impl::on_member_event(
    Instant now, NodeIndex at, membership::EventKind kind, NodeIndex about
) {
    if (kind == membership::EventKind::Failed) judge_.called_failed(now, at + 1, about + 1, view_);
    if (kind == membership::EventKind::Suspected) judge_.suspected(now, at + 1, about + 1, view_);
}

void ScenarioCampaign::Impl::on_session(
    Instant now, NodeIndex at, SessionNews news, const Fault* why
) {
    if (news == SessionNews::Finished) finished_[at] = true;
    if (news != SessionNews::Failed) return;
    judge_.add(
        now,
        fmt::format("peer {} ended by itself", at + 1),
        {why != nullptr ? why->message : "it gave no reason"}
    );
}

void ScenarioCampaign::Impl::start_peers() {
    for (NodeIndex node = 0; node < scenario_.peers; ++node) {
        faults_.start(node, node == 0 ? std::vector<NodeIndex>{} : std::vector<NodeIndex>{0});
        swarm_.run_for(kJoinEvery);
    }
}

PeerSeen ScenarioCampaign::Impl::see(NodeIndex node) const {
    PeerSeen seen;
    seen.started = faults_.started(node);
    seen.ended = finished_[node];
    if (!seen.started || !swarm_.exists(node)) return seen;
    const auto state = swarm_.state(node);
    seen.running = true;
    seen.leaving = state == NodeState::Leaving;
    // A slowed peer is not paused, although it does not run in each slice.
    seen.paused = state == NodeState::Paused && !faults_.slowed(node);
    seen.state = state == NodeState::Leaving ? "leaving" : "joining";
    seen.members = swarm_.swim(node).alive_count();
    const auto* session = swarm_.session(node);
    if (session == nullptr) return seen;
    const auto record = session->session().record();
    seen.state = std::string(peer::to_string(record.state));
    seen.trains = record.state == peer::PeerState::Training;
    seen.steps = record.steps;
    seen.shards = record.shards;
    seen.bytes = record.bytes;
    seen.exchanges = swarm_.averager(node).counters().committed;
    seen.ghost = swarm_.averager(node).ghost();
    seen.spread = double{record.spread};
    return seen;
}

void ScenarioCampaign::Impl::look() {
    view_.peers.resize(swarm_.size());
    for (NodeIndex node = 0; node < swarm_.size(); ++node) view_.peers[node] = see(node);
}

/// Returns the peers that count in the sum, each with its weight; empty: no sum is kept now, because some know their
/// weight and some do not, so that some pairs are even and others not. What a liar sends keeps no sum either.
std::map<NodeIndex, double> ScenarioCampaign::Impl::counting() const {
    std::map<NodeIndex, double> peers;
    if (faults_.lies()) return peers;
    std::size_t weighed = 0;
    for (NodeIndex node = 0; node < swarm_.size(); ++node) {
        const auto& seen = view_.peers[node];
        if (!swarm_.exists(node) || !seen.trains || seen.ghost) continue;
        const auto log2 = swarm_.session(node)->session().mix_weight();
        if (log2) ++weighed;
        peers[node] = std::exp2(log2.value_or(0));
    }
    if (weighed > 0 && weighed < peers.size()) peers.clear();
    return peers;
}

/// Shows the judge how far averaging has moved the peers that count in the sum, between two moments in which no
/// exchange runs. What a ghost takes over from its partners is no part of it.
void ScenarioCampaign::Impl::look_at_mean() {
    auto peers = plan_.phase() == Phase::Calm && plan_.settled() ? counting()
                                                                 : std::map<NodeIndex, double>{};
    if (peers != counted_) averaged_.clear();
    counted_ = std::move(peers);
    if (counted_.empty()) return;
    bool busy = false;
    for (NodeIndex node = 0; node < swarm_.size(); ++node) {
        if (!swarm_.exists(node) || swarm_.session(node) == nullptr) continue;
        const auto& averager = swarm_.averager(node);
        busy = busy || averager.initiating() || averager.responding() || averager.returning();
    }
    if (busy) return;
    std::vector<double> moved;
    double squares = 0;
    const bool known = !averaged_.empty();
    for (const auto& [node, weight] : counted_) {
        const auto& floats = swarm_.floats(node);
        auto& before = averaged_[node];
        moved.resize(floats.averaged().size());
        before.sums.resize(moved.size());
        for (std::size_t i = 0; i < moved.size(); ++i) {
            moved[i] += weight * (floats.averaged()[i] - before.sums[i]);
        }
        squares += weight * weight * (floats.averaged_squares() - before.squares);
        before = {floats.averaged(), floats.averaged_squares()};
    }
    if (known) judge_.averaged(moved, squares);
}

void ScenarioCampaign::Impl::carry_out(const Order& order) {
    const auto action = plan_.action(order);
    const auto result = order.undo ? faults_.undo(action) : faults_.act(action);
    plan_.answer(swarm_.now(), order, result);
    if (scenario::is_link(action.verb)) faults_.apply_links(plan_.entries());
    watch_order(judge_, plan_, swarm_.now(), order, faults_.added());
    look();
}

void ScenarioCampaign::Impl::run(const std::function<void(Instant, Phase)>& progress) {
    faults_.apply_links(plan_.entries());
    start_peers();
    Instant next_report{};
    while (plan_.phase() != Phase::Over) {
        look();
        while (const auto order = plan_.poll(swarm_.now(), view_)) carry_out(*order);
        watch_peers(judge_, plan_, swarm_.now(), view_);
        look_at_mean();
        history_.observe(swarm_.now(), view_);
        if (watch_limit(judge_, scenario_, swarm_.now(), swarm_.now() - Instant{})) break;
        if (progress && swarm_.now() >= next_report) {
            next_report = swarm_.now() + kReportEvery;
            progress(swarm_.now(), plan_.phase());
        }
        if (plan_.phase() != Phase::Over) faults_.advance(kTick);
    }
    finish();
}

void ScenarioCampaign::Impl::finish() {
    look();
    watch_end(judge_, plan_, swarm_.now(), view_, history_);
    if (!scenario_.setting("until").empty()) {
        notes_.emplace_back(
            "virtual peers train no real data, so whether they reach the target was not judged"
        );
    }
}

ScenarioCampaign::ScenarioCampaign(
    scenario::Scenario scenario, std::vector<scenario::Step> steps, SwarmOptions options
)
    : impl_(std::make_unique<Impl>(std::move(scenario), std::move(steps), std::move(options))) {}

ScenarioCampaign::~ScenarioCampaign() = default;

void ScenarioCampaign::run(const std::function<void(Instant, scenario::Phase)>& progress) {
    impl_->run(progress);
}

scenario::Run ScenarioCampaign::result() const {
    return impl_->result();
}

std::uint64_t ScenarioCampaign::trace_hash() const {
    return impl_->trace_hash();
}

}  // namespace starling::peer_virtual
