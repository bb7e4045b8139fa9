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

namespace starling::peer_virtual {
namespace {

using scenario::Action;
using scenario::Order;
using scenario::PeerSeen;
using scenario::Phase;
using scenario::Verb;

constexpr Duration kTick = std::chrono::milliseconds(100);
/// A slowed peer runs for one slice of so many. A slice is shorter than a probe's timeout.
constexpr Duration kSlice = std::chrono::milliseconds(20);
constexpr Duration kJoinEvery = std::chrono::milliseconds(20);
constexpr Duration kReportEvery = std::chrono::seconds(1);

SwarmOptions with_peers(SwarmOptions options, const scenario::Scenario& scenario) {
    options.peers = scenario.peers + scenario.added();
    options.seed = scenario.seed;
    return options;
}

/// The network counts machines from 0.
std::vector<NodeIndex> nodes_of(const std::vector<std::size_t>& peers) {
    std::vector<NodeIndex> nodes;
    for (const auto peer : peers) nodes.push_back(static_cast<NodeIndex>(peer - 1));
    return nodes;
}

NetworkPart network_part(const scenario::LinkPart& part) {
    const auto& values = part.values;
    return {
        nodes_of(part.from),
        nodes_of(part.to),
        values.delay,
        values.jitter,
        values.loss,
        values.duplicate,
        values.mtu,
        values.rate};
}

}  // namespace

class ScenarioCampaign::Impl final : public Observer {
public:
    Impl(scenario::Scenario scenario, std::vector<scenario::Step> steps, SwarmOptions options)
        : scenario_(std::move(scenario)),
          options_(with_peers(std::move(options), scenario_)),
          swarm_(options_),
          plan_(scenario_, std::move(steps)),
          judge_(scenario_),
          started_(options_.peers),
          finished_(options_.peers),
          slowed_(options_.peers) {
        swarm_.observe(*this);
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
    Result<void> act(const Action& action);
    Result<void> undo(const Action& action);
    Result<void> start_again(NodeIndex node);
    Result<void> add(const Action& action);
    void apply_links();
    void set_barrier(const scenario::Barrier& barrier);
    void advance(Duration time);
    void finish();
    void look_at_mean();
    [[nodiscard]] std::map<NodeIndex, double> counting() const;

    scenario::Scenario scenario_;
    SwarmOptions options_;
    Swarm swarm_;
    scenario::Plan plan_;
    scenario::Judge judge_;
    scenario::History history_;
    scenario::View view_;
    std::vector<bool> started_;
    std::vector<bool> finished_;
    std::vector<double> slowed_;      ///< 0: not; else the factor
    std::vector<std::size_t> added_;  ///< by the order that is carried out now
    std::vector<std::string> notes_;
    bool seeds_gone_ = false;  ///< who is started again knows only the first peer, which is dead
    std::uint64_t slice_ = 0;

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
        started_[node] = true;
        swarm_.start(node, node == 0 ? std::vector<NodeIndex>{} : std::vector<NodeIndex>{0});
        swarm_.run_for(kJoinEvery);
    }
}

PeerSeen ScenarioCampaign::Impl::see(NodeIndex node) const {
    PeerSeen seen;
    seen.started = started_[node];
    seen.ended = finished_[node];
    if (!seen.started || !swarm_.exists(node)) return seen;
    const auto state = swarm_.state(node);
    seen.running = true;
    seen.leaving = state == NodeState::Leaving;
    // A slowed peer is not paused, although it does not run in each slice.
    seen.paused = state == NodeState::Paused && slowed_[node] == 0;
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
/// weight and some do not, so that some pairs are even and others not.
std::map<NodeIndex, double> ScenarioCampaign::Impl::counting() const {
    std::map<NodeIndex, double> peers;
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

Result<void> ScenarioCampaign::Impl::start_again(NodeIndex node) {
    if (swarm_.exists(node)) return {};  // something else has started it before
    std::vector<NodeIndex> seeds = swarm_.running();
    if (seeds.size() > 3) seeds.resize(3);
    if (seeds_gone_ && node != 0) seeds = {0};
    if (seeds.empty() && node != 0) seeds.push_back(0);
    swarm_.start(node, std::move(seeds));
    return {};
}

Result<void> ScenarioCampaign::Impl::add(const Action& action) {
    for (std::size_t i = 0; i < action.count; ++i) {
        const auto next = std::find(started_.begin(), started_.end(), false);
        STARLING_CHECK(next != started_.end());
        const auto node = static_cast<NodeIndex>(next - started_.begin());
        *next = true;
        added_.push_back(node + 1);
        std::vector<NodeIndex> seeds;
        for (const auto peer : action.who.peers) seeds.push_back(static_cast<NodeIndex>(peer - 1));
        swarm_.start(node, std::move(seeds));
    }
    return {};
}

Result<void> ScenarioCampaign::Impl::act(const Action& action) {
    if (scenario::is_link(action.verb)) return {};  // apply_links() follows from what holds
    if (action.verb == Verb::Add) return add(action);
    for (const auto peer : action.who.peers) {
        const auto node = static_cast<NodeIndex>(peer - 1);
        switch (action.verb) {
            case Verb::Kill:
            case Verb::PowerOff:
                slowed_[node] = 0;
                swarm_.crash(node, action.verb == Verb::Kill ? Power::Stopped : Power::Dark);
                break;
            case Verb::SeedsGone:
                seeds_gone_ = true;
                slowed_[node] = 0;
                swarm_.crash(node, Power::Stopped);
                break;
            case Verb::Reset:
                swarm_.network().reset_streams(swarm_.now(), node);
                break;
            case Verb::HalfOpen:
                swarm_.network().strand_streams(swarm_.now(), node);
                break;
            case Verb::Term:
                if (slowed_[node] > 0 && swarm_.state(node) == NodeState::Paused) {
                    swarm_.resume(node);
                }
                slowed_[node] = 0;
                swarm_.leave(node);
                break;
            case Verb::Restart:
                if (auto ok = start_again(node); !ok) return ok;
                break;
            case Verb::Pause:
                slowed_[node] = 0;
                if (swarm_.state(node) == NodeState::Running) swarm_.pause(node);
                break;
            case Verb::Resume:
                if (swarm_.state(node) == NodeState::Paused) swarm_.resume(node);
                break;
            case Verb::Slow:
                slowed_[node] = action.value;
                break;
            default:
                return fail(FaultCode::Unsupported, "the simulator cannot do that");
        }
    }
    return {};
}

Result<void> ScenarioCampaign::Impl::undo(const Action& action) {
    for (const auto peer : action.who.peers) {
        const auto node = static_cast<NodeIndex>(peer - 1);
        switch (action.verb) {
            case Verb::Kill:
            case Verb::PowerOff:
            case Verb::SeedsGone:
                if (action.verb == Verb::SeedsGone) seeds_gone_ = false;
                if (auto ok = start_again(node); !ok) return ok;
                break;
            case Verb::Pause:
            case Verb::Slow:
                slowed_[node] = 0;
                if (swarm_.state(node) == NodeState::Paused) swarm_.resume(node);
                break;
            default:
                break;
        }
    }
    return {};
}

void ScenarioCampaign::Impl::set_barrier(const scenario::Barrier& barrier) {
    auto& network = swarm_.network();
    for (const auto from : barrier.from) {
        for (const auto to : barrier.to) {
            if (from == to) continue;
            const auto a = static_cast<NodeIndex>(from - 1);
            const auto b = static_cast<NodeIndex>(to - 1);
            if (barrier.what == scenario::Barrier::What::Everything) network.cut_one_way(a, b);
            if (barrier.what == scenario::Barrier::What::Datagrams) network.block_datagrams(a, b);
        }
    }
}

/// Makes the network what the faults that hold make of it.
void ScenarioCampaign::Impl::apply_links() {
    const auto faults = scenario::link_faults(plan_.entries(), swarm_.size());
    auto links = options_.network;
    links.loss = faults.loss.value_or(links.loss);
    links.latency = faults.delay.value_or(links.latency);
    links.jitter = faults.jitter.value_or(links.jitter);
    links.duplicate = faults.duplicate.value_or(links.duplicate);
    links.uplink = faults.rate.value_or(links.uplink);
    links.mtu = faults.mtu.value_or(links.mtu);
    swarm_.network().heal();
    for (const auto& barrier : faults.barriers) set_barrier(barrier);
    swarm_.network().set_options(links);
    std::vector<NetworkPart> parts;
    for (const auto& own : scenario_.own_links) {
        parts.push_back(network_part(scenario::part_of(own)));
    }
    for (const auto& part : faults.parts) parts.push_back(network_part(part));
    swarm_.network().set_parts(parts);
}

void ScenarioCampaign::Impl::carry_out(const Order& order) {
    const auto action = plan_.action(order);
    added_.clear();
    const auto result = order.undo ? undo(action) : act(action);
    plan_.answer(swarm_.now(), order, result);
    if (scenario::is_link(action.verb)) apply_links();
    watch_order(judge_, plan_, swarm_.now(), order, added_);
    look();
}

/// Runs the swarm. Slowed peers are paused in all slices but one of each round.
void ScenarioCampaign::Impl::advance(Duration time) {
    const bool any = std::any_of(slowed_.begin(), slowed_.end(), [](double f) { return f > 0; });
    if (!any) {
        swarm_.run_for(time);
        return;
    }
    for (auto left = time; left > Duration::zero(); left -= kSlice) {
        ++slice_;
        for (NodeIndex node = 0; node < swarm_.size(); ++node) {
            if (slowed_[node] == 0) continue;
            const bool runs = slice_ % static_cast<std::uint64_t>(slowed_[node]) == 0;
            const auto state = swarm_.state(node);
            if (runs && state == NodeState::Paused) swarm_.resume(node);
            if (!runs && state == NodeState::Running) swarm_.pause(node);
        }
        swarm_.run_for(kSlice);
    }
}

void ScenarioCampaign::Impl::run(const std::function<void(Instant, Phase)>& progress) {
    apply_links();
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
        if (plan_.phase() != Phase::Over) advance(kTick);
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
