#pragma once

// The floats themselves. Both sides compute fl(a * fl(theirs - mine)), whose two results are exact
// negatives; only the addition into each chunk rounds.

#include "gossip/encoding/encoding.hpp"

namespace starling::gossip {

class F32Encoding final : public PlainEncoding {
public:
    [[nodiscard]] Element element() const override { return Element::F32; }

    [[nodiscard]] std::size_t wire_bytes(std::size_t elements) const override {
        return elements * element_size(Element::F32);
    }

    [[nodiscard]] bool wire_is_raw() const override { return true; }

    void encode(ByteView raw, std::span<std::byte> wire) const override;
    Difference difference(
        ByteView theirs, ByteView mine, double coefficient, std::span<std::byte> delta
    ) const override;
};

}  // namespace starling::gossip
