#pragma once

// How a chunk travels. `raw` is what a ParameterVector holds. The initiator makes an offer of its
// chunk; the responder answers it with a reply and its own delta; the initiator takes the reply
// against what it offered, which gives the other delta.
//
// The sum of both partners is kept because each side adds coefficient * (other - own) of the two
// *decoded* values, which both sides know: the two deltas are exact negatives of each other,
// whatever the encoding has lost (Moniqua subtracts its own quantized value for the same reason; Lu
// and De Sa, ICML 2020).

#include <cstddef>
#include <span>

#include "base/bytes.hpp"
#include "gossip/parameter_vector.hpp"
#include "gossip/tilt.hpp"

namespace starling::gossip {

/// Gaps are kept per so many elements; the lattice has a scale and a hash for each such block.
inline constexpr std::size_t kBlockElements = 4096;

[[nodiscard]] constexpr std::size_t block_count(std::size_t elements) {
    return (elements + kBlockElements - 1) / kBlockElements;
}

inline constexpr std::size_t kBlocksMax = block_count(kChunkElementsMax);

/// How far the two sides of an exchange were apart in one block.
struct BlockGap {
    float largest = 0.0F;    ///< difference
    float deviation = 0.0F;  ///< root of the mean square of the differences

    bool operator==(const BlockGap&) const = default;
};

struct Difference {
    /// False when a value of either side, or their difference, is not a finite number: the delta
    /// must not be applied.
    bool finite = true;
    /// True when the offer could not be decoded near our own values: nothing was computed, and the
    /// reply asks for the chunk in a form that always can.
    bool wrapped = false;
    double squared_distance = 0.0;  ///< ||theirs - mine||^2
    double squared_norm = 0.0;      ///< ||mine||^2
};

struct Offer {
    std::size_t bytes = 0;      ///< of the wire that are used
    double squared_norm = 0.0;  ///< ||mine||^2, where taking the reply cannot tell any more
};

/// Room for a reply: wire_bytes, of which `bytes` are used.
struct Reply {
    std::span<std::byte> wire;
    std::size_t bytes = 0;
};

/// What a side adds of the difference that both have decoded, and where the results go.
struct Share {
    double coefficient = 0.5;
    std::span<std::byte> delta;  ///< gets what we add: the raw size
    /// Gets the gap of each block: block_count of them, or empty.
    std::span<BlockGap> gaps = {};
    Tilt tilt = {};  ///< of a weighted pair, seen from us

    /// Share of the difference that we add.
    [[nodiscard]] double mine() const { return share_of(coefficient, tilt); }
};

/// Thread    any: encodings have no state
class ChunkEncoding {
public:
    virtual ~ChunkEncoding() = default;

    [[nodiscard]] virtual Element element() const = 0;

    /// Bytes of the largest offer or reply for a chunk.
    [[nodiscard]] virtual std::size_t wire_bytes(std::size_t elements) const = 0;

    /// True when wire and raw bytes are the same: a chunk is then read straight into its frame.
    [[nodiscard]] virtual bool wire_is_raw() const = 0;

    /// Whether a payload from outside has the size and the form that offer() or answer() would give
    /// it. Nothing else may be called on one that does not fit.
    [[nodiscard]] virtual bool fits_offer(ByteView offer, std::size_t elements) const = 0;
    [[nodiscard]] virtual bool fits_reply(ByteView reply, ByteView offered, std::size_t elements)
        const = 0;

    /// True when a reply is the very delta that the initiator adds: then nothing of what it offered
    /// has to be kept, and `offered` may be empty everywhere.
    [[nodiscard]] virtual bool reply_is_delta() const { return false; }

    /// True when an offer can be decoded whatever our own values are.
    [[nodiscard]] virtual bool always_decodes(ByteView offer) const = 0;

    /// True when a reply says that our offer could not be decoded.
    [[nodiscard]] virtual bool asks_again(ByteView reply) const = 0;

    /// Writes what the initiator sends. `gaps` are the largest differences to expect, a block each;
    /// empty when nothing is known, or when the partner has asked again.
    ///
    /// Shapes    wire: wire_bytes of raw's elements, may be the very bytes of raw when wire_is_raw
    virtual Offer offer(ByteView raw, std::span<const float> gaps, std::span<std::byte> wire)
        const = 0;

    /// Bytes of the offer that offer_exact() writes.
    [[nodiscard]] virtual std::size_t exact_bytes(std::size_t elements) const {
        return wire_bytes(elements);
    }

    /// Writes what the initiator sends after the partner could not decode it, in a form that always
    /// decodes and, where the encoding has one, rounds nothing.
    ///
    /// Shapes    wire: exact_bytes of raw's elements
    virtual Offer offer_exact(ByteView raw, std::span<std::byte> wire) const {
        return offer(raw, {}, wire);
    }

    /// Decodes an offer beside our own values, and writes the reply and our delta.
    ///
    /// Shapes    raw: the raw size, may be the very bytes of reply.wire when wire_is_raw; reply.wire:
    ///           wire_bytes, and at least as many as the offer has
    /// Requires  fits_offer
    virtual Difference answer(ByteView offer, ByteView raw, Reply& reply, const Share& share)
        const = 0;

    /// Decodes a reply beside what we offered, and writes our delta.
    ///
    /// Shapes    share.delta may be empty when reply_is_delta(): then the reply is only checked and
    ///           measured
    /// Requires  fits_reply, and not asks_again
    virtual Difference take_reply(ByteView reply, ByteView offered, const Share& share) const = 0;
};

/// Writes the gap of each block, from deltas that are the coefficient times the differences.
void measure_gaps(ByteView delta, double coefficient, std::span<BlockGap> gaps);

/// An encoding whose offers and replies have one form and one size and can always be decoded.
/// Unless a subclass says otherwise, a reply is the encoding of the responder's chunk.
class PlainEncoding : public ChunkEncoding {
public:
    [[nodiscard]] bool fits_offer(ByteView offer, std::size_t elements) const final {
        return offer.size() == wire_bytes(elements);
    }

    [[nodiscard]] bool fits_reply(ByteView reply, ByteView /*offered*/, std::size_t elements)
        const final {
        return reply.size() == wire_bytes(elements);
    }

    [[nodiscard]] bool always_decodes(ByteView /*offer*/) const final { return true; }

    [[nodiscard]] bool asks_again(ByteView /*reply*/) const final { return false; }

    Offer offer(ByteView raw, std::span<const float> gaps, std::span<std::byte> wire)
        const override;
    Difference answer(ByteView offer, ByteView raw, Reply& reply, const Share& share)
        const override;
    Difference take_reply(ByteView reply, ByteView offered, const Share& share) const override;

    /// Requires  wire.size() == wire_bytes of raw's elements
    virtual void encode(ByteView raw, std::span<std::byte> wire) const = 0;

    /// Writes raw delta = coefficient * (theirs - mine), decoded, in one pass.
    ///
    /// Shapes    theirs, mine: equal wire size, any alignment; delta: the raw size; delta may be
    ///           the very bytes of `mine` when wire_is_raw()
    virtual Difference difference(
        ByteView theirs, ByteView mine, double coefficient, std::span<std::byte> delta
    ) const = 0;

protected:
    /// Writes what we add in an exchange: such that the partner, who computes the same with the
    /// signs and the tilt reversed, adds exactly 2^k times the opposite.
    virtual Difference weighted(ByteView theirs, ByteView mine, const Share& share) const {
        return difference(theirs, mine, share.mine(), share.delta);
    }
};

}  // namespace starling::gossip
