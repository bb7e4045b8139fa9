#pragma once

// How long a suspect may refute, and who is suspected now, by whom.
//
// A suspicion begins with a long timeout that shrinks as further members accuse the same one
// independently. A sick accuser hears no confirmations (it is the one that hears badly), so its
// victim has long to refute; a crashed member is soon confirmed by others.
//
// Source: Lifeguard, section IV-B; the formula is memberlist's.

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/ids.hpp"
#include "base/instant.hpp"
#include "membership/config.hpp"

namespace starling::membership {

/// Returns how long a suspect that enough others accuse may still refute before it is declared
/// failed, in a table of `n` members: suspicion_mult * max(1, log10 n) * probe_interval.
/// Dissemination takes O(log n) rounds, and so must the time that the accused has to hear of it and
/// answer.
/// Source    SWIM section 4.2; the formula is memberlist's
[[nodiscard]] Duration suspicion_timeout(const SwimConfig& config, std::size_t n);

/// The bounds of one suspicion, fixed when it begins.
struct SuspicionBounds {
    Duration min{};
    Duration max{};
    std::uint32_t confirmations = 0;  ///< that bring the timeout from max to min
};

/// Returns the bounds in a table of `n` members of which `up` are alive or suspect, ourselves and
/// the suspect included. Where too few others live to confirm anything the bounds are equal.
[[nodiscard]] SuspicionBounds suspicion_bounds(
    const SwimConfig& config, std::size_t n, std::size_t up
);

/// Returns the timeout after `confirmations` of others than the first accuser, from the start of
/// the suspicion: max - (max - min) * ln(C + 1) / ln(K + 1), never below min; but where at least
/// two confirmations are wanted, one more than that brings it to 0.7 min. Lifeguard stops at min.
/// We go on because here the members that hear of a suspicion look for themselves at once
/// (Swim::Machine), so by then as many have tried the accused directly, through helpers and over a
/// stream. Source    Lifeguard, section IV-B
[[nodiscard]] Duration confirmed_timeout(
    const SuspicionBounds& bounds, std::uint32_t confirmations
);

/// The open suspicions by deadline.
class Suspicions {
public:
    /// Starts the suspicion, or starts it anew.
    void start(const PeerId& id, Instant now, const SuspicionBounds& bounds, const PeerId& accuser);

    void cancel(const PeerId& id);

    /// Counts a further accuser. Returns whether it was new and still wanted: its accusation is
    /// worth spreading then.
    bool confirm(const PeerId& id, const PeerId& accuser);

    /// Whether a further accuser would count: how many it has, or nothing when it has enough, knows
    /// this one already, or is not suspected.
    [[nodiscard]] std::optional<std::size_t> wants(const PeerId& id, const PeerId& accuser) const;

    /// The first accuser, or null when `id` is not suspected.
    [[nodiscard]] const PeerId* accuser(const PeerId& id) const;

    /// True while somebody besides its first accuser confirms one of the suspicions: a crash, then,
    /// and hardly a lost datagram.
    [[nodiscard]] bool any_confirmed() const;

    /// True when the suspicion has lasted at least half of its shortest time: whoever lives and is
    /// reachable has refuted it by then.
    [[nodiscard]] bool ripe(const PeerId& id, Instant now) const;

    /// Moves every earlier deadline to `earliest`, and lets no confirmation bring it back.
    void postpone(Instant earliest);

    /// Removes and returns one suspect whose deadline has passed.
    std::optional<PeerId> take_expired(Instant now);

    [[nodiscard]] std::optional<Instant> next_deadline() const;

private:
    struct Suspicion {
        Instant since;
        Instant floor;
        Instant deadline;
        SuspicionBounds bounds;
        std::vector<PeerId> accusers;  ///< at most 2 + bounds.confirmations
    };

    void move(const PeerId& id, Suspicion& suspicion);
    [[nodiscard]] static bool wants(const Suspicion& suspicion, const PeerId& accuser);

    std::map<PeerId, Suspicion> open_;
    std::set<std::pair<Instant, PeerId>> by_deadline_;
};

}  // namespace starling::membership
