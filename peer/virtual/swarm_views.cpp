// The part of Swarm that describes its state: the nodes' states and state machines, and how far
// apart their parameters are.

#include <algorithm>
#include <cmath>

#include "base/check.hpp"
#include "peer/virtual/swarm_node.hpp"

namespace starling::peer_virtual {

NodeState Swarm::state(NodeIndex node) const {
    return nodes_[node]->state;
}

std::vector<NodeIndex> Swarm::running() const {
    std::vector<NodeIndex> list;
    for (NodeIndex i = 0; i < size(); ++i) {
        if (state(i) == NodeState::Running) list.push_back(i);
    }
    return list;
}

const membership::Swim& Swarm::swim(NodeIndex node) const {
    STARLING_CHECK(exists(node));
    return *nodes_[node]->swim;
}

const gossip::Averager& Swarm::averager(NodeIndex node) const {
    STARLING_CHECK(nodes_[node]->averager.has_value());
    return *nodes_[node]->averager;
}

const SessionNode* Swarm::session(NodeIndex node) const {
    const auto* session = nodes_[node]->session.get();
    STARLING_CHECK(has_sessions() && session != nullptr);
    return session->begun() ? session : nullptr;
}

const IntegerVector& Swarm::vector(NodeIndex node) const {
    STARLING_CHECK(nodes_[node]->vector != nullptr);
    return *nodes_[node]->vector;
}

const std::optional<gossip::Interval>& Swarm::interval(NodeIndex node) const {
    const auto& session = nodes_[node]->session;
    return session ? session->session().interval() : nodes_[node]->interval;
}

const PeerId& Swarm::id(NodeIndex node) const {
    return nodes_[node]->id;
}

std::uint64_t Swarm::epoch(NodeIndex node) const {
    return nodes_[node]->epoch;
}

const FloatVector& Swarm::floats(NodeIndex node) const {
    STARLING_CHECK(nodes_[node]->floats != nullptr);
    return *nodes_[node]->floats;
}

Duration Swarm::waited() const {
    Duration sum{};
    for (const auto& node : nodes_) sum += node->waited;
    return sum;
}

double Swarm::consensus_error() const {
    const auto nodes = running();
    if (nodes.empty()) return 0.0;
    double off = 0.0;
    double size = 0.0;
    const auto n = static_cast<double>(nodes.size());
    for (std::size_t i = 0; i < floats(nodes.front()).values().size(); ++i) {
        double mean = 0.0;
        double squares = 0.0;
        for (const auto node : nodes) {
            const double value = double{floats(node).values()[i]};
            mean += value / n;
            squares += value * value / n;
        }
        off += std::max(0.0, squares - mean * mean);
        size += squares;
    }
    return size > 0.0 ? std::sqrt(off / size) : 0.0;
}

bool Swarm::misfit(NodeIndex node) const {
    return averages() && node + options_.averaging->misfits >= size();
}

bool Swarm::lies(NodeIndex node) const {
    if (!averages() || misfit(node)) return false;
    return node + options_.averaging->misfits + options_.averaging->liars >= size();
}

std::uint64_t Swarm::spread() const {
    auto nodes = running();
    std::erase_if(nodes, [this](NodeIndex node) { return misfit(node) || lies(node); });
    if (nodes.empty()) return 0;
    const auto widest = [&](auto values_of) {
        double most = 0.0;
        for (std::size_t i = 0; i < values_of(nodes.front()).size(); ++i) {
            auto low = values_of(nodes.front())[i];
            auto high = low;
            for (const auto node : nodes) {
                low = std::min(low, values_of(node)[i]);
                high = std::max(high, values_of(node)[i]);
            }
            most = std::max(most, static_cast<double>(high - low));
        }
        return most;
    };
    if (options_.averaging->floats) {
        const double most = widest([&](NodeIndex node) -> const std::vector<float>& {
            return floats(node).values();
        });
        return static_cast<std::uint64_t>(std::min(1e3 * most, 1e18));
    }
    return static_cast<std::uint64_t>(widest(
        [&](NodeIndex node) -> const std::vector<std::int64_t>& { return vector(node).values(); }
    ));
}

bool Swarm::whole() const {
    const auto nodes = running();
    // Most calls end with this comparison of counts. Only if all are equal, we compare n^2 entries.
    for (const auto at : nodes) {
        if (swim(at).alive_count() != nodes.size()) return false;
    }
    for (const auto at : nodes) {
        std::size_t alive = 0;
        for (const auto& member : swim(at).members()) {
            if (member.state != membership::MemberState::Alive) continue;
            if (state(index(member.id)) != NodeState::Running) return false;
            ++alive;
        }
        if (alive != nodes.size()) return false;
    }
    return true;
}

}  // namespace starling::peer_virtual
