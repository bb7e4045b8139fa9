#pragma once

// Where a peer is in the rounds of --sync: the number of its round, what it does for this round's
// exchange, and the requests of partners that are ahead and wait for us.
//
// Rounds are counted by each peer for itself, from its place in the schedule. A peer that was away
// is far behind then. It learns so from a partner that refuses its request, or from a request that
// is further ahead than peers in step can be, and adds the difference to its own count from then on.
//
// Thread    network

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/ids.hpp"
#include "base/instant.hpp"
#include "gossip/messages.hpp"

namespace starling::gossip {

/// What a peer does for the exchange of its round.
enum class RoundStage : std::uint8_t {
    Idle,       ///< no round runs
    Queued,     ///< another exchange that we have asked for must end first
    Asking,     ///< we have asked the partner, or trade with it
    Expecting,  ///< the partner's request is to come, because ours gave way to it
    Answering,  ///< the partner has asked us, and we trade
    Elsewhere,  ///< the partner was missed, or there is none; we meet a random one
};

class Rounds {
public:
    /// A request that waits until we are in its round, or until nobody else is being answered.
    struct Parked {
        PeerId from;
        Open open;
        Instant until;
    };

    /// More requests wait nowhere: each partner has one, and few are ahead of a peer at a time.
    static constexpr std::size_t kParkedMax = 16;
    /// A partner that says we are further behind lies, or has believed a liar.
    static constexpr std::uint64_t kBehindMax = std::uint64_t{1} << 32U;

    explicit Rounds(Duration patience) : patience_(patience) {}

    /// Begins a round. Returns its number as partners count it.
    std::uint64_t begin(std::uint64_t round);

    /// Takes over a partner's count if it is ahead of ours.
    /// Requires  a round has begun
    void catch_up(std::uint64_t round);
    /// Returns the furthest round of a request that waits, or 0.
    [[nodiscard]] std::uint64_t furthest() const;

    /// Notes what we do now, and with which partner.
    void enter(Instant now, RoundStage stage, const PeerId& partner);

    void end() { stage_ = RoundStage::Idle; }

    /// Whether we count rounds at all. Initially not.
    void count(bool wanted) { counts_ = wanted; }

    [[nodiscard]] bool counts() const { return counts_; }

    [[nodiscard]] bool running() const { return stage_ != RoundStage::Idle; }

    [[nodiscard]] RoundStage stage() const { return stage_; }

    [[nodiscard]] const PeerId& partner() const { return partner_; }

    /// Whether we wait for something that a partner who is gone cannot do.
    [[nodiscard]] bool waits_for(const PeerId& partner) const {
        const bool waits = stage_ == RoundStage::Expecting || stage_ == RoundStage::Queued;
        return waits && partner_ == partner;
    }

    [[nodiscard]] std::uint64_t number() const { return number_; }

    /// Whether a request belongs to a round that we have not come to, or that is over.
    [[nodiscard]] bool ahead(const Open& open) const { return counts_ && open.round > number_; }

    [[nodiscard]] bool behind(const Open& open) const {
        return counts_ && open.round > 0 && open.round < number_;
    }

    /// Lets a request wait. Returns false when too many wait already.
    [[nodiscard]] bool park(Instant now, const PeerId& from, const Open& open);
    /// Takes a request that need not wait any more, that of our partner first. Requests of rounds
    /// that are over are among them.
    [[nodiscard]] std::optional<Parked> take_due();
    /// Takes a request that has waited too long.
    [[nodiscard]] std::optional<Parked> take_overdue(Instant now);
    [[nodiscard]] std::vector<Parked> take_all();
    /// Takes the request of this peer.
    [[nodiscard]] std::optional<Parked> take(const PeerId& from);
    void forget(const PeerId& from);
    /// Returns whether a request with this id has waited.
    bool forget(ExchangeId id);

    /// Whether we have expected the partner for too long.
    [[nodiscard]] bool overdue(Instant now) const {
        return stage_ == RoundStage::Expecting && now >= until_;
    }

    [[nodiscard]] std::optional<Instant> timeout() const;

private:
    Duration patience_;
    bool counts_ = false;
    std::uint64_t own_ = 0;  ///< our own count
    std::uint64_t number_ = 0;
    std::uint64_t ahead_ = 0;  ///< what partners count more than we do
    RoundStage stage_ = RoundStage::Idle;
    PeerId partner_;
    Instant until_;
    std::vector<Parked> parked_;
};

}  // namespace starling::gossip
