#pragma once

// The upper half of each float, rounded to nearest, ties to even. Rounding moves no mean: the delta
// is a share of the difference of the two *rounded* values, and our own rounded value is what the
// partner has seen. What rounding costs is the floor of the distance, about 2^-9 of the values.
//
// NaN stays NaN and infinity stays infinity, so the partner refuses them; the largest floats round
// down instead of to infinity.

#include "gossip/encoding/encoding.hpp"

namespace starling::gossip {

class Bf16Encoding final : public PlainEncoding {
public:
    [[nodiscard]] Element element() const override { return Element::F32; }

    [[nodiscard]] std::size_t wire_bytes(std::size_t elements) const override {
        return elements * sizeof(std::uint16_t);
    }

    [[nodiscard]] bool wire_is_raw() const override { return false; }

    void encode(ByteView raw, std::span<std::byte> wire) const override;
    Difference difference(
        ByteView theirs, ByteView mine, double coefficient, std::span<std::byte> delta
    ) const override;
};

}  // namespace starling::gossip
