#pragma once

// Modulo lattice quantization: an element travels as the low bits of round(x / scale), and the
// partner, whose own value is near, knows which of the numbers with these bits is meant. Four or
// eight times fewer bytes than f32, without state, without a feedback buffer.
//
// A block of 4,096 elements has its own scale and a 64-bit hash of its integers before reduction. A
// value further away than half the range decodes to a wrong one (it wraps), which the hash notices:
// then nothing of the chunk is applied, the reply asks again, and the initiator sends f32 (bf16 to a
// partner of an older protocol: its rounding moves two peers that are near apart, so that others wrap).
// The responder's reply is on the lattice of the offer, and it answers only if all gaps are within the
// range, so the initiator's decoding cannot wrap and needs no hash. Both deltas are the same float
// step * (k_theirs - k_mine), with opposite signs.
//
// Source    Lu and De Sa, "Moniqua", ICML 2020; Davies et al., "New Bounds for Distributed Mean
//           Estimation and Variance Reduction", ICLR 2021. They bound the gap by theory; we take
//           it from the last exchange of the pair, with a margin, and check.

#include "base/simd.hpp"
#include "gossip/encoding/bf16.hpp"
#include "gossip/encoding/encoding.hpp"
#include "gossip/encoding/f32.hpp"

namespace starling::gossip {

class LatticeEncoding final : public ChunkEncoding {
public:
    /// Requires  bits is 4 or 8
    explicit LatticeEncoding(int bits, Isa isa = best_isa());

    [[nodiscard]] Element element() const override { return Element::F32; }

    [[nodiscard]] std::size_t wire_bytes(std::size_t elements) const override;

    [[nodiscard]] bool wire_is_raw() const override { return false; }

    [[nodiscard]] bool fits_offer(ByteView offer, std::size_t elements) const override;
    [[nodiscard]] bool fits_reply(ByteView reply, ByteView offered, std::size_t elements)
        const override;
    [[nodiscard]] bool always_decodes(ByteView offer) const override;
    [[nodiscard]] bool asks_again(ByteView reply) const override;
    [[nodiscard]] std::size_t exact_bytes(std::size_t elements) const override;
    Offer offer_exact(ByteView raw, std::span<std::byte> wire) const override;

    Offer offer(ByteView raw, std::span<const float> gaps, std::span<std::byte> wire)
        const override;
    Difference answer(ByteView offer, ByteView raw, Reply& reply, const Share& share)
        const override;
    Difference take_reply(ByteView reply, ByteView offered, const Share& share) const override;

    /// Largest |k_theirs - k_mine| that both sides decode alike.
    [[nodiscard]] int gap_max() const { return (1 << (bits_ - 1)) - 1; }

    /// How many times the expected gap the range covers. The distance that is left is about 0.25 *
    /// scale: with 8 bits a few hundredths of the gap's root mean square, so that a wide margin costs
    /// nothing; with 4 bits it does. Without training, peers come together 1.5 times as slowly as in f32
    /// with 2, and 1.25 times with 1.3; a chunk in a thousand then travels once more.
    [[nodiscard]] float margin() const { return bits_ == 8 ? 4.0F : 1.3F; }

private:
    [[nodiscard]] std::size_t offer_bytes(std::size_t elements) const;
    [[nodiscard]] std::size_t code_bytes(std::size_t elements) const;
    [[nodiscard]] bool offer_codes(
        ByteView raw, std::span<const float> gaps, std::span<std::byte> wire, double& squared_norm
    ) const;
    [[nodiscard]] Difference answer_codes(
        ByteView offer, ByteView raw, std::span<std::byte> reply, const Share& share
    ) const;

    int bits_;
    Isa isa_;
    Bf16Encoding bf16_;  ///< before anything is known of gaps
    F32Encoding f32_;    ///< for what could not be decoded on the lattice
};

}  // namespace starling::gossip
