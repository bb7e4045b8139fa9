#pragma once

// Watches a virtual swarm and measures its failure detector: the time until the first live peer and
// until all live peers list a crashed one as failed, and how often a healthy peer is suspected or
// declared failed.

#include <cstdint>
#include <optional>
#include <vector>

#include "peer/virtual/swarm.hpp"

namespace starling::peer_virtual {

/// One crash as the others saw it.
struct Crash {
    NodeIndex node = 0;
    Instant at;
    std::optional<Duration> first;  ///< time until the first peer lists it as failed
    std::optional<Duration> all;    ///< time until all peers do that were alive then and still are
    /// It restarted, or a partition began or ended, before all knew. Such a crash says nothing
    /// about the detector.
    bool masked = false;
};

/// Accusations of peers that were running and reachable.
struct FalseAlarms {
    std::uint64_t suspicions = 0;
    std::uint64_t failures = 0;
};

class Detection final : public Observer {
public:
    /// For so long after a start, a pause or a partition, accusations may be a consequence of it.
    static constexpr Duration kGrace = std::chrono::seconds(60);

    /// Requires  `swarm` outlives the detection
    explicit Detection(const Swarm& swarm);

    /// Notes that a partition begins or ends. Crashes that not all peers know yet become masked,
    /// and accusations do not count for `kGrace`.
    void disturb(Instant now);

    [[nodiscard]] const std::vector<Crash>& crashes() const { return crashes_; }

    [[nodiscard]] const FalseAlarms& false_alarms() const { return false_alarms_; }

    void on_member_event(Instant now, NodeIndex at, membership::EventKind kind, NodeIndex about)
        override;
    void on_node_state(Instant now, NodeIndex at, NodeState state) override;

private:
    /// A crash that some peers do not know yet.
    struct Open {
        std::size_t crash = 0;
        std::vector<bool> waits_for;
        std::size_t remaining = 0;
    };

    void open(Instant now, NodeIndex node);
    void learned(Instant now, NodeIndex at, NodeIndex about);
    void stop_waiting_for(Instant now, Open& open, NodeIndex witness);

    const Swarm& swarm_;
    std::vector<NodeState> states_;
    std::vector<Instant> calm_since_;  ///< each node's last change of state, or the last partition
    std::vector<std::optional<Open>> open_;
    std::vector<Crash> crashes_;
    FalseAlarms false_alarms_;
};

}  // namespace starling::peer_virtual
