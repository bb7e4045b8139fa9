#pragma once

// The invariants of whole peers, beside those of checkers.hpp, at every instant of every run.
//
//   P1   a newcomer that can reach one donor trains within a bound, whichever answers are lost
//   P2   what has arrived is asked of nobody again, and nobody is asked twice while it may answer
//   P3   two ends never differ: all that live when the first ends end in the same round
//   P4   who knows that a peer is gone computes its duties without it one tick later; peers with
//        one view share out all training shards, each to one of them
//   P5   a restarted peer resumes what was written whole, and nothing older than its last
//        checkpoint that was on the disk; nobody keeps parameters while they are not whole
//   P6   when all have been down and are up again, there is one swarm within a bound (by a test)
//   P7   nobody fetches parameters into a step that runs
//
// Violations go to the run's other checkers.

#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "tests/simulation/checkers.hpp"

namespace starling::simulation {

class SessionCheckers final : public peer_virtual::Observer {
public:
    /// P1's bound counts while a donor can be reached both ways.
    static constexpr Duration kJoinMax = std::chrono::seconds(50);

    /// Requires  both outlive this
    SessionCheckers(Swarm& swarm, Checkers& checkers);

    /// Checks the states of all nodes. Call it often.
    void look();

    /// Ends the check of P3: from now on there may be two swarms.
    void excuse_ends() { ends_agree_ = false; }

    [[nodiscard]] std::size_t joined() const { return joined_; }

    [[nodiscard]] std::size_t resumed() const { return resumed_; }

    [[nodiscard]] std::size_t finished() const { return finished_.size(); }

    [[nodiscard]] bool has_finished(NodeIndex node) const { return finished_.contains(node); }

    [[nodiscard]] std::size_t failed() const { return failed_; }

    [[nodiscard]] const std::set<std::uint32_t>& rounds() const { return rounds_; }

    /// Returns the longest time from the descriptor to training so far, of newcomers.
    [[nodiscard]] Duration longest_join() const { return longest_join_; }

    void on_member_event(Instant now, NodeIndex at, membership::EventKind kind, NodeIndex about)
        override;
    void on_node_state(Instant now, NodeIndex at, NodeState state) override;
    void on_session(Instant now, NodeIndex at, peer_virtual::SessionNews news, const Fault* why)
        override;
    void on_transfer_sent(Instant now, const peer_virtual::TransferFrame& frame) override;
    void on_transfer_arrived(Instant now, const peer_virtual::TransferFrame& frame) override;
    void on_partner_broken(Instant now, NodeIndex at, NodeIndex partner) override;
    void on_checkpoint(Instant now, NodeIndex at, const peer::Checkpoint& checkpoint, bool whole)
        override;

private:
    /// A chunk of the parameters, or a piece of a shard, as the bytes that ask for it.
    using Item = std::pair<peer::FrameType, Bytes>;

    struct Kept {
        std::uint64_t samples = 0;
        std::vector<float> parameters;
    };

    struct Life {
        Instant since;                         ///< when it got its descriptor
        std::optional<Instant> joining_since;  ///< while a donor can be reached
        std::uint64_t fetches = 0;             ///< and refusals, when `arrived` was last cleared
        std::set<Item> arrived;
        std::map<std::pair<NodeIndex, Item>, Instant> asked;
        std::map<NodeIndex, Instant> gone;  ///< peers that it knows to be gone, and since when
    };

    [[nodiscard]] bool reachable_donor(NodeIndex node) const;
    [[nodiscard]] bool trains(NodeIndex node) const;
    void look_at_join(NodeIndex node);
    void look_at_partners(NodeIndex node);
    void look_at_duties();
    void check_end(Instant now, NodeIndex node);
    void check_resume(NodeIndex node);

    Swarm& swarm_;
    Checkers& checkers_;
    std::vector<Life> lives_;
    std::vector<std::vector<Kept>> begun_;  ///< checkpoints that a node began to write
    std::vector<std::uint64_t> whole_;      ///< samples in a node's last whole checkpoint
    std::set<NodeIndex> finished_;
    std::set<std::uint32_t> rounds_;
    std::map<std::uint32_t, Instant> ended_;  ///< when the first one ended in each round
    bool ends_agree_ = true;
    std::size_t joined_ = 0;
    std::size_t resumed_ = 0;
    std::size_t failed_ = 0;
    Duration longest_join_{};
};

}  // namespace starling::simulation
