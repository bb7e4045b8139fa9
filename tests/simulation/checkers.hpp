#pragma once

// The invariants that hold at every instant of every run, with any faults. Their names are those of
// the protocol's list: S for membership, A for averaging.
//
//   S4   nobody knows an incarnation of a peer above that peer's own, which never falls
//   S6   every datagram fits its budget
//   S7   the datagrams per peer and second stay under a ceiling
//   S9   nobody reports a graceful leave as a failure, unless a cut or a pause has hidden it
//   S12  without faults nobody is suspected (only checked if a test asks for it)
//   A1   the two sides of an exchanged chunk add exact opposites
//   A2   if only one side has applied a chunk, its ledger counts it (checked at quiescence)
//   A4   every exchange ends by its deadline
//   A5   the bytes that a node holds for exchanges stay within its windows
//   A6   a replayed frame changes nothing: A1 and A2 hold with replays
//   A7   a NaN, an infinity or a value beyond the clip reaches no model; its sender is accused, and
//        nobody else; our nodes never reject what our nodes have sent
//   A9   nobody opens an exchange with a partner if it knows that this one is gone
//   A10  no chunk is exchanged with a partner of another layout
//   A11  the shares that a node goes in exchanges at one time add up to at most 1

#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "peer/virtual/swarm.hpp"

namespace starling::simulation {

using peer_virtual::NodeIndex;
using peer_virtual::NodeState;
using peer_virtual::Swarm;

struct Violation {
    Instant at;
    std::string invariant;
    NodeIndex node = 0;
    std::string detail;
};

struct Expectations {
    bool no_suspicion = false;
    /// Set for runs with replayed or spoiled frames, which nodes may reject.
    bool allow_rejected = false;
    /// Set for runs in which training diverges: such a peer has bad values, and is rightly accused.
    bool allow_divergence = false;
    /// No exchange lasts longer (see gossip::AveragerConfig). A clock may be off by a hundredth.
    Duration exchange_max = std::chrono::milliseconds(30'500);
    /// Bytes that a node may hold for exchanges: per role a window, or one chunk if that is larger.
    std::size_t held_max = std::numeric_limits<std::size_t>::max();
    /// No honest value is larger.
    float value_max = std::numeric_limits<float>::max();
    /// Ceiling of S7. A quiet peer sends 2 to 3 datagrams a second.
    std::uint64_t datagrams_per_second_max = 400;
};

class Checkers final : public peer_virtual::Observer {
public:
    /// Requires  `swarm` outlives the checkers
    Checkers(Swarm& swarm, const Expectations& expectations);

    /// Checks the states of all nodes. Call it often.
    void look();

    /// Checks A1, A2 and A4 when all exchanges have ended.
    /// Requires  no exchange has begun for longer than an exchange may last
    void check_ledger();

    /// Stops the check of S9 for all nodes that have left: from now on some nodes may not have
    /// heard their goodbyes.
    void excuse_leaves() { has_left_.assign(has_left_.size(), false); }

    /// Ends the check of S9 for good: whoever would pass a goodbye on may crash at any moment.
    void ignore_leaves() { ignores_leaves_ = true; }

    /// Notes a violation that a test has found itself.
    void report(std::string invariant, NodeIndex node, std::string detail);

    /// Returns the first violation. Later ones are mostly its consequences.
    [[nodiscard]] const std::optional<Violation>& violation() const { return violation_; }

    [[nodiscard]] std::uint64_t suspicions() const { return suspicions_; }

    /// Returns the number of Failed events about nodes that were running at that moment.
    [[nodiscard]] std::uint64_t failures_of_running() const { return failures_of_running_; }

    [[nodiscard]] std::uint64_t committed() const { return committed_; }

    /// Returns the number of exchanges that ended with a strike against the partner.
    [[nodiscard]] std::uint64_t misdeeds() const { return misdeeds_; }

    /// Returns the number of exchanges between a misfit and another node that were refused.
    [[nodiscard]] std::uint64_t refusals() const { return refusals_; }

    void on_member_event(Instant now, NodeIndex at, membership::EventKind kind, NodeIndex about)
        override;
    void on_datagram(Instant now, NodeIndex from, std::size_t bytes) override;
    void on_exchange(Instant now, NodeIndex at, const gossip::ExchangeEvent& event) override;
    void on_rejected(Instant now, NodeIndex at, const Fault& fault) override;
    void on_node_state(Instant now, NodeIndex at, NodeState state) override;

private:
    struct Rate {
        Instant second;
        std::uint64_t count = 0;
    };

    void look_at_incarnations(NodeIndex at);
    void look_at_exchange(NodeIndex at);
    void look_at_memory(NodeIndex at);
    void look_at_values(NodeIndex at);
    void check_accusation(NodeIndex at, const gossip::ExchangeEvent& event);
    void check_choice(Instant now, NodeIndex at, const gossip::ExchangeEvent& event);

    Swarm& swarm_;
    Expectations expectations_;
    std::optional<Violation> violation_;
    std::vector<NodeState> states_;
    std::vector<bool> has_left_;
    bool ignores_leaves_ = false;
    std::vector<Incarnation> own_;
    std::vector<Instant> changed_;  ///< when each node last changed its state
    std::vector<std::optional<Instant>> initiating_since_;
    std::vector<std::optional<Instant>> responding_since_;
    std::vector<Rate> rates_;
    /// When a node has learned that a partner is gone, by node and partner.
    std::vector<std::vector<std::optional<Instant>>> gone_;
    std::uint64_t suspicions_ = 0;
    std::uint64_t failures_of_running_ = 0;
    std::uint64_t committed_ = 0;
    std::uint64_t misdeeds_ = 0;
    std::uint64_t refusals_ = 0;
};

}  // namespace starling::simulation
