#pragma once

// What a campaign remembers of its whole peers: how long they took to join, and how they ended.

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "peer/virtual/swarm.hpp"

namespace starling::peer_virtual {

class SessionLog final : public Observer {
public:
    /// Requires  `swarm` outlives the log
    explicit SessionLog(const Swarm& swarm)
        : swarm_(swarm),
          started_(swarm.size()),
          finished_(swarm.size()),
          last_(swarm.size()) {}

    void on_node_state(Instant now, NodeIndex at, NodeState state) override;
    void on_session(Instant now, NodeIndex at, SessionNews news, const Fault* why) override;
    void on_checkpoint(Instant now, NodeIndex at, const peer::Checkpoint& checkpoint, bool whole)
        override;

    /// Returns whether a node has ended with the others, so that it is not started again.
    [[nodiscard]] bool has_finished(NodeIndex node) const { return finished_[node]; }

    [[nodiscard]] std::size_t finished() const {
        return static_cast<std::size_t>(std::count(finished_.begin(), finished_.end(), true));
    }

    /// Takes the nodes whose process has ended with a fault since the last call.
    [[nodiscard]] std::vector<NodeIndex> take_failed();

    /// Steps and samples of all nodes: of those that run, and as the last checkpoints say.
    struct Work {
        std::uint64_t steps = 0;
        std::uint64_t samples = 0;
    };

    [[nodiscard]] Work work() const;

    std::vector<double> join_seconds;
    std::size_t resumed = 0;
    std::size_t failures = 0;
    std::string last_fault;
    std::uint32_t rounds = 0;
    Instant last_end;

private:
    const Swarm& swarm_;
    std::vector<Instant> started_;
    std::vector<bool> finished_;
    std::vector<Work> last_;
    std::vector<NodeIndex> failed_;
};

}  // namespace starling::peer_virtual
