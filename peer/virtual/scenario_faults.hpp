#pragma once

// Does to a virtual swarm what the actions of a scenario say. It corresponds to peer/fleet/scenario_peers, which
// does the same to processes.

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "peer/scenario/links.hpp"
#include "peer/scenario/plan.hpp"
#include "peer/scenario/scenario.hpp"
#include "peer/virtual/liars.hpp"
#include "peer/virtual/swarm.hpp"

namespace starling::peer_virtual {

/// Peers of a scenario count from 1, nodes from 0: peer i is node i - 1.
class ScenarioFaults {
public:
    /// Requires  `swarm` outlives the faults, and all that run in it are started here
    ScenarioFaults(Swarm& swarm, const scenario::Scenario& scenario);

    /// Starts a peer for the first time.
    void start(NodeIndex node, std::vector<NodeIndex> seeds);

    [[nodiscard]] bool started(NodeIndex node) const { return started_[node]; }

    /// Returns whether a peer runs for a part of the time only.
    [[nodiscard]] bool slowed(NodeIndex node) const { return slowed_[node] > 0; }

    /// Returns whether anybody lies now.
    [[nodiscard]] bool lies() const { return !lying_.empty(); }

    /// Carries out an action. What it does to links follows in apply_links().
    /// Errors    Unsupported, NotFound (a peer that has no checkpoint)
    Result<void> act(const scenario::Action& action);
    Result<void> undo(const scenario::Action& action);

    /// Returns the peers that the last action has added.
    [[nodiscard]] const std::vector<std::size_t>& added() const { return added_; }

    /// Makes the network what the faults that hold make of it.
    void apply_links(const std::vector<scenario::Entry>& entries);

    /// Runs the swarm, while somebody is slowed or lies in slices: slowed peers are paused in all but one of each
    /// round, and liars that make up packets send one in each.
    void advance(Duration time);

private:
    Result<void> hit(const scenario::Action& action, NodeIndex node);
    void release(const scenario::Action& action, NodeIndex node);
    void set_liar(scenario::Lie lie, NodeIndex node, bool lies);
    void start_again(NodeIndex node);
    void add(const scenario::Action& action);
    void kill(NodeIndex node, Power power);
    void go_on(NodeIndex node);
    void set_barrier(const scenario::Barrier& barrier);
    void lie();

    const scenario::Scenario& scenario_;
    Swarm& swarm_;
    NetworkOptions network_;  ///< without any fault
    std::vector<bool> started_;
    std::vector<double> slowed_;      ///< 0: not; else the factor
    std::vector<std::size_t> added_;  ///< by the last action
    bool seeds_gone_ = false;  ///< who is started again knows only the first peer, which is dead
    std::uint64_t slice_ = 0;
    std::set<std::pair<NodeIndex, scenario::Lie>> lying_;
    /// Those that make up packets. They stay when they stop lying, because the swarm tells them what they hear.
    std::map<std::pair<NodeIndex, scenario::Lie>, std::unique_ptr<Liar>> liars_;
};

}  // namespace starling::peer_virtual
