#include "peer/virtual/scenario_faults.hpp"

#include <algorithm>
#include <utility>

#include "base/check.hpp"

namespace starling::peer_virtual {
namespace {

using scenario::Action;
using scenario::Lie;
using scenario::Verb;

/// A slowed peer runs for one slice of so many. A slice is shorter than a probe's timeout.
constexpr Duration kSlice = std::chrono::milliseconds(20);
/// Who is started again dials so many of those that run.
constexpr std::size_t kSeedsMax = 3;
constexpr double kFramesSpoiled = 0.25;
constexpr std::uint64_t kLiarPurpose = 0x6c696172;

NodeIndex node_of(std::size_t peer) {
    return static_cast<NodeIndex>(peer - 1);
}

std::vector<NodeIndex> nodes_of(const std::vector<std::size_t>& peers) {
    std::vector<NodeIndex> nodes;
    for (const auto peer : peers) nodes.push_back(node_of(peer));
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

ScenarioFaults::ScenarioFaults(Swarm& swarm, const scenario::Scenario& scenario)
    : scenario_(scenario),
      swarm_(swarm),
      network_(swarm.network().options()),
      started_(swarm.size()),
      slowed_(swarm.size()) {}

void ScenarioFaults::start(NodeIndex node, std::vector<NodeIndex> seeds) {
    started_[node] = true;
    swarm_.start(node, std::move(seeds));
}

void ScenarioFaults::start_again(NodeIndex node) {
    if (swarm_.exists(node)) return;  // something else has started it before
    std::vector<NodeIndex> seeds = swarm_.running();
    if (seeds.size() > kSeedsMax) seeds.resize(kSeedsMax);
    if (seeds_gone_ && node != 0) seeds = {0};
    if (seeds.empty() && node != 0) seeds.push_back(0);
    swarm_.start(node, std::move(seeds));
}

void ScenarioFaults::add(const Action& action) {
    for (std::size_t i = 0; i < action.count; ++i) {
        const auto next = std::find(started_.begin(), started_.end(), false);
        STARLING_CHECK(next != started_.end());
        const auto node = static_cast<NodeIndex>(next - started_.begin());
        added_.push_back(node + 1);
        start(node, nodes_of(action.who.peers));
    }
}

void ScenarioFaults::kill(NodeIndex node, Power power) {
    slowed_[node] = 0;
    swarm_.crash(node, power);
}

void ScenarioFaults::go_on(NodeIndex node) {
    slowed_[node] = 0;
    if (swarm_.state(node) == NodeState::Paused) swarm_.resume(node);
}

Result<void> ScenarioFaults::act(const Action& action) {
    added_.clear();
    if (scenario::is_link(action.verb)) return {};
    if (action.verb == Verb::Add) {
        add(action);
        return {};
    }
    for (const auto peer : action.who.peers) {
        if (auto ok = hit(action, node_of(peer)); !ok) return ok;
    }
    return {};
}

Result<void> ScenarioFaults::hit(const Action& action, NodeIndex node) {
    switch (action.verb) {
        case Verb::Kill:
            kill(node, Power::Stopped);
            return {};
        case Verb::PowerOff:
            kill(node, Power::Dark);
            return {};
        case Verb::SeedsGone:
            seeds_gone_ = true;
            kill(node, Power::Stopped);
            return {};
        case Verb::AddressChange:
            kill(node, Power::Stopped);
            swarm_.move_address(node);
            start_again(node);
            return {};
        case Verb::Term:
            go_on(node);
            swarm_.leave(node);
            return {};
        case Verb::Restart:
            start_again(node);
            return {};
        case Verb::Pause:
            slowed_[node] = 0;
            if (swarm_.state(node) == NodeState::Running) swarm_.pause(node);
            return {};
        case Verb::Resume:
            go_on(node);
            return {};
        case Verb::Slow:
            slowed_[node] = action.value;
            return {};
        case Verb::Reset:
            swarm_.network().reset_streams(swarm_.now(), node);
            return {};
        case Verb::HalfOpen:
            swarm_.network().strand_streams(swarm_.now(), node);
            return {};
        case Verb::DiskFull:
            swarm_.disk(node).set_full(true);
            return {};
        case Verb::DiskReadOnly:
            swarm_.disk(node).set_read_only(true);
            return {};
        case Verb::Corrupt:
            return swarm_.corrupt_checkpoint(node);
        case Verb::Clock:
            swarm_.move_clock(node, action.time);
            return {};
        case Verb::Liar:
            set_liar(action.lie, node, true);
            return {};
        case Verb::Wait:
            return {};
        default:
            return fail(FaultCode::Unsupported, "the simulator cannot do that");
    }
}

Result<void> ScenarioFaults::undo(const Action& action) {
    added_.clear();
    if (action.verb == Verb::SeedsGone) seeds_gone_ = false;
    for (const auto peer : action.who.peers) release(action, node_of(peer));
    return {};
}

void ScenarioFaults::release(const Action& action, NodeIndex node) {
    switch (action.verb) {
        case Verb::Kill:
        case Verb::PowerOff:
        case Verb::SeedsGone:
            return start_again(node);
        case Verb::Pause:
        case Verb::Slow:
            return go_on(node);
        case Verb::DiskFull:
            return swarm_.disk(node).set_full(false);
        case Verb::DiskReadOnly:
            return swarm_.disk(node).set_read_only(false);
        case Verb::Liar:
            return set_liar(action.lie, node, false);
        default:
            return;
    }
}

void ScenarioFaults::set_liar(Lie lie, NodeIndex node, bool lies) {
    const std::pair who(node, lie);
    if (lies) {
        lying_.insert(who);
    } else {
        lying_.erase(who);
    }
    if (lie == Lie::Frames) return swarm_.set_spoils(node, lies ? kFramesSpoiled : 0);
    if (lie == Lie::Parameters) return swarm_.set_false_donor(node, lies);
    if (!lies || liars_.contains(who)) return;
    const auto purpose = kLiarPurpose + kLiarPurpose * static_cast<std::uint64_t>(lie) + node;
    const auto rng = Rng(scenario_.seed).fork(purpose);
    if (lie == Lie::Members) {
        liars_.emplace(who, std::make_unique<MemberLiar>(swarm_, node, rng));
    } else {
        liars_.emplace(who, std::make_unique<RecordLiar>(swarm_, node, rng));
    }
}

/// Those that make up packets send one each.
void ScenarioFaults::lie() {
    for (const auto& [who, liar] : liars_) {
        const bool runs = swarm_.state(who.first) == NodeState::Running;
        if (runs && lying_.contains(who)) liar->lie();
    }
}

void ScenarioFaults::set_barrier(const scenario::Barrier& barrier) {
    auto& network = swarm_.network();
    for (const auto from : barrier.from) {
        for (const auto to : barrier.to) {
            if (from == to) continue;
            const auto a = node_of(from);
            const auto b = node_of(to);
            if (barrier.what == scenario::Barrier::What::Everything) network.cut_one_way(a, b);
            if (barrier.what == scenario::Barrier::What::Datagrams) network.block_datagrams(a, b);
        }
    }
}

void ScenarioFaults::apply_links(const std::vector<scenario::Entry>& entries) {
    const auto faults = scenario::link_faults(entries, swarm_.size());
    auto links = network_;
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

void ScenarioFaults::advance(Duration time) {
    const bool any = std::any_of(slowed_.begin(), slowed_.end(), [](double f) { return f > 0; });
    if (!any && lying_.empty()) {
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
        lie();
        swarm_.run_for(kSlice);
    }
}

}  // namespace starling::peer_virtual
