#pragma once

// How long a suspect has to refute, and who is suspected now, by whom.
//
// A suspicion begins with a long timeout that shrinks when further members accuse the same one
// independently. A sick accuser hears no confirmations (it is the one that hears badly), so the
// member that it accuses has long to refute; a crash is soon confirmed by others.
//
// Source: Lifeguard, section IV-B; the formula is memberlist's.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/ids.hpp"
#include "base/instant.hpp"
#include "membership/config.hpp"

namespace starling::membership {

/// Returns how long a suspect that enough others accuse has to refute before it is declared failed,
/// in a table of `n` members: suspicion_mult * max(1, log10 n) * probe_interval. Dissemination
/// takes O(log n) rounds, so the accused must have a time of O(log n) to hear of the suspicion and
/// answer.
///
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

/// Returns the timeout, from the start of the suspicion, after C = `confirmations` by others than
/// the first accuser, where K = `bounds.confirmations` are wanted. It is never below `min`:
///
///   max - (max - min) * ln(C + 1) / ln(K + 1)
///
/// Lifeguard stops at `min`. We go on: where K is at least two, one confirmation more than K
/// shortens the timeout to 0.7 * min. For here the members that hear of a suspicion probe the
/// accused themselves at once (Swim::Machine), so by then K + 2 of them have tried it directly,
/// through helpers and over a stream.
///
/// Source    Lifeguard, section IV-B
[[nodiscard]] Duration confirmed_timeout(
    const SuspicionBounds& bounds, std::uint32_t confirmations
);

/// The open suspicions by deadline.
class Suspicions {
public:
    /// Starts the suspicion, or starts it anew.
    void start(const PeerId& id, Instant now, const SuspicionBounds& bounds, const PeerId& accuser);

    void cancel(const PeerId& id);

    /// Counts a further accuser. Returns whether it was new and still wanted: then its accusation
    /// is worth spreading.
    bool confirm(const PeerId& id, const PeerId& accuser);

    /// Returns how many accusers the suspicion of `id` has, if `accuser` would count as a further
    /// one. Returns nothing when it has enough accusers or has this one already, and when there is
    /// no such suspicion.
    [[nodiscard]] std::optional<std::size_t> wants(const PeerId& id, const PeerId& accuser) const;

    /// The first accuser, or null when `id` is not suspected.
    [[nodiscard]] const PeerId* accuser(const PeerId& id) const;

    /// Returns how many of the suspicions have a second accuser: those are about crashes, and hardly
    /// about lost datagrams.
    [[nodiscard]] std::size_t confirmed() const;

    /// We have seen ourselves that nobody listens where `id` did. With a second accuser, six tenths of
    /// the shortest time are enough then.
    void note_refused(const PeerId& id);

    /// Another member has declared `id` failed. With a second accuser, the suspicion ends as soon as it
    /// is ripe.
    void note_verdict(const PeerId& id);

    /// Fewer members are left to confirm anything. Shortens what is longer than these bounds say.
    void tighten(const SuspicionBounds& bounds);

    [[nodiscard]] bool empty() const { return open_.empty(); }

    /// True when the suspicion has lasted at least half of its shortest time: by then a member that
    /// lives and can be reached has refuted it.
    [[nodiscard]] bool ripe(const PeerId& id, Instant now) const;

    /// Moves every earlier deadline to `earliest`; no confirmation moves one before that again.
    void postpone(Instant earliest);

    /// Removes and returns one suspect whose deadline has passed.
    std::optional<PeerId> take_expired(Instant now);

    [[nodiscard]] std::optional<Instant> next_deadline() const;

private:
    struct Suspicion {
        Instant since;
        Instant floor;
        Instant deadline = Instant::max();
        SuspicionBounds bounds;
        bool refused = false;          ///< our own dial was
        bool verdict = false;          ///< another member's
        std::vector<PeerId> accusers;  ///< at most 2 + bounds.confirmations
    };

    void move(const PeerId& id, Suspicion& suspicion);
    [[nodiscard]] static Duration ripe_after(const Suspicion& suspicion);
    [[nodiscard]] bool stale(const std::pair<Instant, PeerId>& deadline) const;
    void drop_stale();
    [[nodiscard]] static bool wants(const Suspicion& suspicion, const PeerId& accuser);

    std::unordered_map<PeerId, Suspicion> open_;  // its order decides nothing
    /// A heap with the earliest in front. A deadline that has moved leaves its old place stale; the
    /// front never is.
    std::vector<std::pair<Instant, PeerId>> deadlines_;
};

}  // namespace starling::membership
