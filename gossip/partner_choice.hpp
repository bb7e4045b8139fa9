#pragma once

// Whom to ask next: a partner drawn uniformly from the live ones, without those that declined or
// failed a moment ago. A back-off is short against the time between exchanges and ends by itself.
// Then a partner that was busy comes before all others, and until then nobody is met twice in a row
// without a pause. Otherwise peers that exchange without a pause close into a ring, in which each
// is served by one neighbour and serves the other, and some pairs never meet.

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "base/ids.hpp"
#include "base/instant.hpp"
#include "base/rng.hpp"

namespace starling::gossip {

/// Back-offs double with each repetition and are forgotten after a success.
inline constexpr Duration kBusyBackoff = std::chrono::milliseconds(10);
inline constexpr Duration kBusyBackoffMax = std::chrono::milliseconds(160);
/// A partner that was busy comes before others for at most so long.
inline constexpr Duration kOwedMax = std::chrono::seconds(5);
inline constexpr Duration kFailureBackoff = std::chrono::milliseconds(500);
inline constexpr Duration kFailureBackoffMax = std::chrono::seconds(8);
/// A partner whose layout or settings do not fit will not fit soon.
inline constexpr Duration kRefusalBackoff = std::chrono::seconds(60);
/// A partner that has broken the protocol too often is neither asked nor answered for so long; each
/// further breach doubles the time.
inline constexpr Duration kBarred = std::chrono::seconds(60);
inline constexpr Duration kBarredMax = std::chrono::hours(1);
/// The strikes of so many peers are remembered, also of peers that are gone; above it the one whose
/// bar ends first is forgotten.
inline constexpr std::size_t kStruckMax = 64;

class PartnerChoice {
public:
    /// A partner is barred at so many strikes; a success takes one away. 0: never.
    explicit PartnerChoice(std::size_t strikes = 0) : strikes_(strikes) {}

    /// A partner that comes up, also again, starts without back-off.
    void add(const PeerId& peer);
    void remove(const PeerId& peer);

    [[nodiscard]] std::size_t size() const { return partners_.size(); }

    [[nodiscard]] bool contains(const PeerId& peer) const;

    /// Returns a uniformly chosen partner that may be asked now and is not among `except`. Partners
    /// that were busy when they were last asked come before all others.
    [[nodiscard]] std::optional<PeerId> choose(
        Instant now, Rng& rng, std::span<const PeerId> except = {}
    );

    /// Returns the partner of a round that everybody with the same view counts alike. The seed
    /// draws an order of the n live peers, and another one every log2(n) rounds if n is no power of
    /// two; the partner is the one whose place in
    /// the order differs from ours in one bit, another bit in each round. Returns nothing when n is
    /// no power of two and that place is beyond it.
    [[nodiscard]] std::optional<PeerId> scheduled(
        const PeerId& self, std::uint64_t seed, std::uint64_t round
    ) const;

    // Reports about an attempt; about unknown peers they do nothing.

    void succeeded(Instant now, const PeerId& peer);
    void was_busy(Instant now, const PeerId& peer);
    void failed(Instant now, const PeerId& peer);
    void refused(Instant now, const PeerId& peer);

    /// The peer broke the protocol; it need not be a partner.
    void struck(Instant now, const PeerId& peer);

    /// Whether a peer has broken it too often to be dealt with now.
    [[nodiscard]] bool barred(Instant now, const PeerId& peer) const;

private:
    struct Partner {
        PeerId id;
        std::optional<Instant> met = std::nullopt;  ///< last
        std::optional<Instant> not_before = std::nullopt;
        Duration backoff{};
        std::optional<Instant> busy_since = std::nullopt;  ///< it was busy each time since then

        /// Whether it comes before others. One that is busy for long is not merely in demand: it
        /// may be a ghost, or fetch its parameters, and whoever insists on it meets nobody.
        [[nodiscard]] bool owed(Instant now) const {
            return busy_since && now - *busy_since < kOwedMax;
        }
    };

    [[nodiscard]] Partner* find(const PeerId& peer);

    /// Kept apart from the partners: a peer that leaves and comes back still has its strikes.
    struct Struck {
        PeerId id;
        std::size_t strikes = 0;
        Instant until{};  ///< barred until then
    };

    std::size_t strikes_;
    std::vector<Struck> struck_;
    std::vector<Partner> partners_;           ///< ordered by id, so that a seed repeats its draws
    std::vector<const Partner*> candidates_;  ///< kept for its memory
};

}  // namespace starling::gossip
