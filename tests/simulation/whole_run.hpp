#pragma once

// A swarm of whole peers in virtual time with all checkers, and what tests ask of it.

#include <algorithm>
#include <functional>
#include <string>

#include "tests/simulation/session_checkers.hpp"
#include "tests/simulation/simulation.hpp"

namespace starling::simulation {

inline peer_virtual::SwarmOptions whole_peers(std::uint64_t seed, std::size_t peers) {
    peer_virtual::SwarmOptions options;
    options.peers = peers;
    options.seed = seed;
    options.network.loss = 0.01;
    peer_virtual::AveragingOptions averaging;
    averaging.config.encoding = gossip::Encoding::F32;
    averaging.floats = peer_virtual::FloatVector::Shape{4, 64, 0.05};
    options.averaging = averaging;
    options.training.emplace();
    return options;
}

/// A run with the checkers of sessions.
class WholeRun {
public:
    explicit WholeRun(const peer_virtual::SwarmOptions& options)
        : simulation(options),
          checkers(simulation.swarm(), simulation.checkers()) {
        simulation.also_look([this] { checkers.look(); });
    }

    Swarm& swarm() { return simulation.swarm(); }

    bool run_for(Duration duration) { return simulation.run_for(duration); }

    bool require_within(
        Duration longest, const std::string& what, const std::function<bool()>& condition
    ) {
        if (simulation.run_until(condition, longest)) return true;
        simulation.checkers().report(
            what, 0, "not within " + std::to_string(to_seconds(longest)) + " s: " + describe()
        );
        return false;
    }

    /// Returns whether all nodes run, know all, and train.
    [[nodiscard]] bool all_train() {
        auto& s = swarm();
        if (s.running().size() != s.size() || !s.whole()) return false;
        for (const auto node : s.running()) {
            const auto* session = s.session(node);
            if (session == nullptr || !session->session().has_parameters()) return false;
            if (session->session().roster().partners().size() + 1 != s.size()) return false;
        }
        return true;
    }

    /// Returns the samples of the nodes that run.
    [[nodiscard]] std::uint64_t samples() {
        std::uint64_t sum = 0;
        for (const auto node : swarm().running()) {
            const auto* session = swarm().session(node);
            if (session != nullptr) sum += session->session().report().samples;
        }
        return sum;
    }

    [[nodiscard]] bool all_gone() { return swarm().running().empty(); }

    /// Returns each node's state, for people.
    [[nodiscard]] std::string describe() {
        std::string text;
        for (NodeIndex node = 0; node < swarm().size(); ++node) {
            text += "\n  node " + std::to_string(node) + ": ";
            if (swarm().state(node) != NodeState::Running) {
                text += "not running";
                continue;
            }
            const auto* session = swarm().session(node);
            if (session == nullptr) {
                text += "has no descriptor";
                continue;
            }
            const auto record = session->session().record();
            text += std::string(to_string(record.state)) + ", round " +
                    std::to_string(record.round) + ", " + std::to_string(record.steps) +
                    " steps, " + std::to_string(session->session().roster().partners().size()) +
                    " partners, " + std::to_string(record.held) + " shards held, alive " +
                    std::to_string(swarm().swim(node).alive_count());
        }
        return text;
    }

    Simulation simulation;
    SessionCheckers checkers;
};

}  // namespace starling::simulation
