#pragma once

// 64-bit integers, for simulations that check the mean for equality. delta = (theirs - mine) / 2
// truncated towards zero, so the two deltas are exact negatives and a pair ends within 1 of each
// other. In a weighted pair t = 2 a (theirs - mine) / (1 + 2^k) is truncated, so the other side's 2^k t
// goes no further than the difference, and the pair ends within 1 + 2^k of each other.

#include "gossip/encoding/encoding.hpp"

namespace starling::gossip {

class Exact64Encoding final : public PlainEncoding {
public:
    [[nodiscard]] Element element() const override { return Element::I64; }

    [[nodiscard]] std::size_t wire_bytes(std::size_t elements) const override {
        return elements * element_size(Element::I64);
    }

    [[nodiscard]] bool wire_is_raw() const override { return true; }

    void encode(ByteView raw, std::span<std::byte> wire) const override;
    Difference difference(
        ByteView theirs, ByteView mine, double coefficient, std::span<std::byte> delta
    ) const override;

protected:
    Difference weighted(ByteView theirs, ByteView mine, const Share& share) const override;
};

}  // namespace starling::gossip
