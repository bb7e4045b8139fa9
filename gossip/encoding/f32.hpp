#pragma once

// The floats themselves. A reply is what the initiator adds, its share of the difference: the
// responder has both values, so the initiator need not keep what it offered, and adds the reply as
// it is. The responder adds the same floats with the opposite sign, so the sum over both is kept as
// exactly as by sending the values.

#include "base/simd.hpp"
#include "gossip/encoding/encoding.hpp"

namespace starling::gossip {

class F32Encoding final : public PlainEncoding {
public:
    /// `isa` other than the best is for tests.
    explicit F32Encoding(Isa isa = best_isa()) : isa_(isa) {}

    [[nodiscard]] Element element() const override { return Element::F32; }

    [[nodiscard]] std::size_t wire_bytes(std::size_t elements) const override {
        return elements * sizeof(float);
    }

    [[nodiscard]] bool wire_is_raw() const override { return true; }

    [[nodiscard]] bool reply_is_delta() const override { return true; }

    Offer offer(ByteView raw, std::span<const float> gaps, std::span<std::byte> wire)
        const override;
    Difference answer(ByteView offer, ByteView raw, Reply& reply, const Share& share)
        const override;
    Difference take_reply(ByteView reply, ByteView offered, const Share& share) const override;

    void encode(ByteView raw, std::span<std::byte> wire) const override;
    Difference difference(
        ByteView theirs, ByteView mine, double coefficient, std::span<std::byte> delta
    ) const override;

private:
    Isa isa_;
};

}  // namespace starling::gossip
