#pragma once

// Watches a virtual swarm and measures its failure detector: how long until the first and until
// every live peer lists a crashed one as failed, and how often a healthy peer is suspected or
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
    std::optional<Duration> first;  ///< somebody lists it as failed
    std::optional<Duration> all;    ///< everybody who was alive then, and still is, does
    /// It came back, or a partition began, before all knew: says nothing about detection.
    bool masked = false;
};

/// Accusations of peers that were running and reachable.
struct FalseAlarms {
    std::uint64_t suspicions = 0;
    std::uint64_t failures = 0;
};

class Detection final : public Observer {
public:
    /// After a start, a pause or a partition, accusations may be echoes of it for this long.
    static constexpr Duration kGrace = std::chrono::seconds(60);

    /// Requires  `swarm` outlives the detection
    explicit Detection(const Swarm& swarm);

    /// A partition begins or ends: what is open is masked, what follows within the grace forgiven.
    void disturb(Instant now);

    [[nodiscard]] const std::vector<Crash>& crashes() const { return crashes_; }

    [[nodiscard]] const FalseAlarms& false_alarms() const { return false_alarms_; }

    void on_member_event(Instant now, NodeIndex at, membership::EventKind kind, NodeIndex about)
        override;
    void on_node_state(Instant now, NodeIndex at, NodeState state) override;

private:
    struct Open {
        std::size_t crash = 0;
        std::vector<bool> waits_for;
        std::size_t remaining = 0;
    };

    void open(Instant now, NodeIndex node);
    void learned(Instant now, NodeIndex at, NodeIndex about);
    void strike_off(Instant now, Open& open, NodeIndex witness);

    const Swarm& swarm_;
    std::vector<NodeState> states_;
    std::vector<Instant> calm_since_;  ///< a healthy node's last disturbance
    std::vector<std::optional<Open>> open_;
    std::vector<Crash> crashes_;
    FalseAlarms false_alarms_;
};

}  // namespace starling::peer_virtual
