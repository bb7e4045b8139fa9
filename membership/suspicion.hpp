#pragma once

// How long a suspect may refute, and who is suspected now.
//
// Confirmations by further accusers (Lifeguard, section 4.2) are not used yet: the timeout is
// Lifeguard's minimum for everybody. Accusers travel on the wire, so this can change alone.

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "base/ids.hpp"
#include "base/instant.hpp"
#include "membership/config.hpp"

namespace starling::membership {

/// Returns how long a suspect may still refute before it is declared failed, in a table of `n`
/// members: suspicion_mult * max(1, log10 n) * probe_interval. Dissemination takes O(log n) rounds,
/// and so must the time that the accused has to hear of it and answer.
/// Source    SWIM section 4.2; the formula is memberlist's
[[nodiscard]] Duration suspicion_timeout(const SwimConfig& config, std::size_t n);

/// The open suspicions by deadline.
class Suspicions {
public:
    /// Starts the suspicion, or starts it anew.
    void start(const PeerId& id, Instant deadline);

    void cancel(const PeerId& id);

    /// Moves every earlier deadline to `earliest`.
    void postpone(Instant earliest);

    /// Removes and returns one suspect whose deadline has passed.
    std::optional<PeerId> take_expired(Instant now);

    [[nodiscard]] std::optional<Instant> next_deadline() const;

    [[nodiscard]] std::size_t size() const { return deadlines_.size(); }

private:
    std::map<PeerId, Instant> deadlines_;
    std::set<std::pair<Instant, PeerId>> by_deadline_;
};

}  // namespace starling::membership
