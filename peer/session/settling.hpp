#pragma once

// How peers agree at the end, as a machine without I/O. They average without training until each
// has seen that its partners are nearer than the tolerance. A peer asks only partners of which it
// has not seen this yet.
//
// Thread    network

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/ids.hpp"
#include "base/instant.hpp"
#include "gossip/averager.hpp"

namespace starling::peer {

class Settling {
public:
    /// Requires  `averager` outlives it; 0 < tolerance
    Settling(gossip::Averager& averager, double tolerance)
        : averager_(averager),
          tolerance_(tolerance) {}

    /// Begins to average without a pause; no partner counts as agreeing yet. `encoding` is the one
    /// of training.
    void begin(Instant now, gossip::Encoding encoding);

    /// Ends settling because training goes on, with `encoding`.
    void end(gossip::Encoding encoding);

    /// Stops asking partners. The peer does not train and still answers.
    void stop() { due_.reset(); }

    /// Takes in how an exchange ended, and plans the next one.
    void handle_exchange(Instant now, const gossip::ExchangeEvent& event);

    /// Opens the next exchange if it is time. Drain the averager afterwards.
    void handle_timeout(Instant now);

    /// Returns when to call handle_timeout, or nothing while we do not ask.
    [[nodiscard]] std::optional<Instant> timeout() const { return due_; }

    /// Sets the partners to agree with, and whether one of them has not heard yet that training is
    /// over. Such a peer moves away from what it agrees to, so we wait for it for a while. Those that are
    /// `unasked` are asked for nothing.
    void update(
        std::span<const PeerId> partners, bool others_train, std::span<const PeerId> unasked = {}
    );

    /// Returns whether nobody trains and all partners, or eight of them, agree with us.
    [[nodiscard]] bool agreed() const;

private:
    struct Met {
        PeerId partner;
        std::uint64_t at = 0;  ///< number of the exchange since we began
        bool agrees = false;   ///< its distance and all later ones were below the tolerance
    };

    [[nodiscard]] Met last_meeting(const PeerId& peer) const;
    void leave_out(bool all_but_the_longest_unmet);

    gossip::Averager& averager_;
    double tolerance_;
    std::optional<Instant> due_;  ///< when to ask next; nothing while we do not ask
    bool others_train_ = false;
    std::vector<PeerId> partners_;
    std::vector<Met> met_;  ///< since we began
    std::uint64_t exchanges_ = 0;
    Instant begun_;
    Instant engaged_at_;  ///< when we were last in an exchange or waited for others
    std::vector<PeerId> unasked_;
    std::vector<PeerId> except_;  ///< whom not to ask; a member to reuse its memory
};

}  // namespace starling::peer
