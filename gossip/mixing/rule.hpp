#pragma once

// What an exchange does with a chunk of each of the two peers. The roles in exchange.hpp know
// windows, acknowledgements and deadlines; a rule knows what is sent, what is added, and what has
// to be kept or taken back so that its own invariant holds.
//
// The order of one chunk: offer (the initiator reads), answer (the responder checks, applies and
// replies), take_reply (the initiator checks the reply and applies it), or withdraw when no reply came.
// If take_reply finds the chunk locked, apply() follows later. A call that finds the chunk locked has
// changed nothing, and the role repeats it.
//
// Thread    network

#include <cstdint>
#include <memory>

#include "gossip/codec.hpp"
#include "gossip/samples.hpp"
#include "gossip/workbench.hpp"

namespace starling::gossip {

/// From this minor version on, a partner knows the lattice's exact form.
inline constexpr std::uint8_t kMinorExact = 3;

/// What both sides of one exchange have agreed on.
struct Terms {
    PeerId partner;
    Encoding encoding = Encoding::F32;
    double coefficient = 0.5;
    Part part;
    std::uint8_t minor = kVersionMinor;  ///< of the partner's protocol; known to the initiator
    Tilt tilt = {};                      ///< of a weighted pair, seen from us; pairwise only
    /// How far the partner is, in units of the distance at our last exchange; known to the initiator
    double apart = 1.0;

    /// Share of the difference that we go.
    [[nodiscard]] double share() const { return share_of(coefficient, tilt); }
};

/// A chunk that the initiator has offered and not yet applied.
struct Flight {
    std::uint32_t index = 0;
    Bytes bytes;  ///< the offer that was sent, if the rule keeps it; then the delta
    Bytes more;   ///< a second delta, where a rule has one
    Offer offer;
    double weight = 0.0;   ///< push-sum: the mass on its way
    bool replied = false;  ///< `bytes` is the delta, and waits for the chunk's lock
};

enum class Served : std::uint8_t {
    Done,    ///< applied; the frame is the reply
    Again,   ///< could not be decoded, nothing applied; the frame asks for it once more
    Locked,  ///< nothing happened, and there is no frame
    Refused  ///< a value that must not be used; nothing applied
};

/// What became of an offer, and why if it was refused.
struct Answered {
    Served served = Served::Done;
    Misdeed misdeed = Misdeed::None;
};

enum class ReplyState : std::uint8_t {
    Applied,
    Locked,  ///< the reply is sound and noted; apply() comes later
    Refused  ///< a value that must not be used; nothing applied
};

/// What became of a reply, and why if it was refused.
struct TakenReply {
    ReplyState state = ReplyState::Applied;
    Misdeed misdeed = Misdeed::None;
};

class MixingRule {
public:
    explicit MixingRule(Workbench& bench) : bench_(bench) {}

    virtual ~MixingRule() = default;
    MixingRule(const MixingRule&) = delete;
    MixingRule& operator=(const MixingRule&) = delete;

    /// Payload bytes of the largest offer of a chunk.
    [[nodiscard]] virtual std::size_t offer_bytes_max(const Terms& terms, std::uint32_t chunk)
        const = 0;

    /// Whether a payload has a size and form that offer() can give it. Nothing else is called on
    /// one that does not fit.
    [[nodiscard]] virtual bool fits_offer(const Terms& terms, std::uint32_t chunk, ByteView offer)
        const = 0;
    [[nodiscard]] virtual bool fits_reply(const Terms& terms, const Flight& flight, ByteView reply)
        const = 0;

    /// True when an offer can be decoded whatever our own values are.
    [[nodiscard]] virtual bool always_decodes(
        const Terms& terms, std::uint32_t chunk, ByteView offer
    ) const = 0;
    /// True when a reply says that our offer could not be decoded.
    [[nodiscard]] virtual bool asks_again(const Terms& terms, std::uint32_t chunk, ByteView reply)
        const = 0;

    /// Whether take_reply() or withdraw() need what was offered. Otherwise Flight::bytes stays empty.
    [[nodiscard]] virtual bool keeps_offer(const Terms& /*terms*/, std::uint32_t /*chunk*/) const {
        return true;
    }

    /// Writes our offer behind the room for the header. `again`: in a form that always decodes.
    /// False when the chunk is locked; then `frame` is empty.
    [[nodiscard]] virtual bool offer(
        const Terms& terms, bool again, Bytes& frame, Flight& flight
    ) = 0;

    [[nodiscard]] virtual Answered answer(
        const Terms& terms, std::uint32_t chunk, ByteView offer, Bytes& frame, Tally& tally
    ) = 0;

    [[nodiscard]] virtual TakenReply take_reply(
        const Terms& terms, Flight& flight, ByteView reply, Tally& tally
    ) = 0;
    /// Applies what take_reply() found locked; false when it still is.
    [[nodiscard]] virtual bool apply(const Terms& terms, Flight& flight, Tally& tally) = 0;

    /// The partner could not decode an offer of ours.
    virtual void wrapped(const Terms& /*terms*/) {}

    /// The exchange ended before a reply to this flight was applied.
    virtual void withdraw(const Terms& /*terms*/, Flight& /*flight*/) {}

    /// Returns how far the partner is by its samples, as Terms has it.
    [[nodiscard]] virtual double apart(
        const Terms& /*terms*/, ExchangeId /*id*/, const Samples& /*theirs*/
    ) {
        return 1.0;
    }

    /// The parameters were replaced as a whole, or begin to count in the sum: what the rule keeps
    /// beside them starts anew.
    virtual void adopt() {}

    /// Whether an exchange of this part may begin now.
    [[nodiscard]] virtual bool ready(const Part& /*part*/) const { return true; }

    /// Whether something waits for a chunk's lock outside any exchange; retry() tries it.
    [[nodiscard]] virtual bool waiting() const { return false; }

    virtual void retry() {}

    /// Weight of an element of the chunk in the sum that the rule keeps.
    [[nodiscard]] virtual double weight(std::uint32_t /*chunk*/, std::uint32_t /*part*/) const {
        return 1.0;
    }

protected:
    [[nodiscard]] Bytes take_frame(std::size_t payload) {
        return bench_.pool.take(kPayloadOffset + payload);
    }

    Workbench& bench_;
};

[[nodiscard]] std::unique_ptr<MixingRule> make_pairwise(Workbench& bench);
[[nodiscard]] std::unique_ptr<MixingRule> make_push_sum(Workbench& bench);
[[nodiscard]] std::unique_ptr<MixingRule> make_noloco(Workbench& bench);
[[nodiscard]] std::unique_ptr<MixingRule> make_pull(Workbench& bench);

}  // namespace starling::gossip
