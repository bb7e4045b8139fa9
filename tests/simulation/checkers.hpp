#pragma once

// The invariants that hold at every instant of every run, whatever faults are on. Names as in the
// protocol's list: S for membership, A for averaging.
//
//   S4   nobody knows an incarnation of a peer above that peer's own, which never falls
//   S6   every datagram fits its budget
//   S7   nobody floods: datagrams per peer and second stay under a ceiling
//   S9   a graceful leave is nowhere reported as a failure, unless a cut or a pause hid it
//   S12  without faults nobody is suspected (only when asked for)
//   A1   the two sides of an exchanged chunk add exact opposites
//   A2   a chunk applied by one side only is counted by that side's ledger (at quiescence)
//   A4   every exchange ends by its deadline
//   A5   what a node holds for exchanges stays within its windows
//   A6   a replayed frame changes nothing: A1 and A2 hold with replays
//   A7   a NaN, an infinity or a value beyond the clip reaches no model, and whoever sent it is
//        named, nobody else; our machines never reject what our machines sent
//   A9   nobody opens an exchange with a partner of whom it knows that it is gone
//   A10  no chunk is exchanged with a partner of another layout

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
    /// Replayed and spoiled frames may be refused; nothing else of ours may.
    bool allow_rejected = false;
    /// No exchange lasts longer; see gossip::AveragerConfig. A clock may be off by a hundredth.
    Duration exchange_max = std::chrono::milliseconds(30'500);
    /// Bytes that a node may hold for exchanges: in either role a window, or one chunk if larger.
    std::size_t held_max = std::numeric_limits<std::size_t>::max();
    /// No honest value is larger.
    float value_max = std::numeric_limits<float>::max();
    /// Ceiling of S7, far above the quiet state's 2 to 3 a second.
    std::uint64_t datagrams_per_second_max = 400;
};

class Checkers final : public peer_virtual::Observer {
public:
    /// Requires  `swarm` outlives the checkers
    Checkers(Swarm& swarm, const Expectations& expectations);

    /// Checks what is visible in the nodes' states; call it often.
    void look();

    /// Requires  averaging that has been quiet for longer than any exchange
    void check_ledger();

    /// From now on a goodbye may go unheard by somebody: S9 does not bind for those who have left.
    void excuse_leaves() { has_left_.assign(has_left_.size(), false); }

    /// Notes something that a test found itself.
    void report(std::string invariant, NodeIndex node, std::string detail);

    /// The first violation; later ones are mostly its echoes.
    [[nodiscard]] const std::optional<Violation>& violation() const { return violation_; }

    [[nodiscard]] std::uint64_t suspicions() const { return suspicions_; }

    /// Failed events about nodes that were running and not paused at that moment.
    [[nodiscard]] std::uint64_t failures_of_running() const { return failures_of_running_; }

    [[nodiscard]] std::uint64_t committed() const { return committed_; }

    /// Exchanges that ended with a strike against the partner.
    [[nodiscard]] std::uint64_t misdeeds() const { return misdeeds_; }

    /// Exchanges that a stranger was refused.
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
    std::vector<Incarnation> own_;
    std::vector<Instant> changed_;  ///< each node's last change of state
    std::vector<std::optional<Instant>> initiating_since_;
    std::vector<std::optional<Instant>> responding_since_;
    std::vector<Rate> rates_;
    /// By node and partner: when it learned that the partner is gone.
    std::vector<std::vector<std::optional<Instant>>> gone_;
    std::uint64_t suspicions_ = 0;
    std::uint64_t failures_of_running_ = 0;
    std::uint64_t committed_ = 0;
    std::uint64_t misdeeds_ = 0;
    std::uint64_t refusals_ = 0;
};

}  // namespace starling::simulation
