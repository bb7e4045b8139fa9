#include "gossip/encoding/encoding.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/check.hpp"
#include "gossip/encoding/bf16.hpp"
#include "gossip/encoding/exact64.hpp"
#include "gossip/encoding/f32.hpp"
#include "gossip/encoding/lattice.hpp"

namespace starling::gossip {

void measure_gaps(ByteView delta, double coefficient, std::span<float> gaps) {
    const std::size_t elements = delta.size() / sizeof(float);
    STARLING_CHECK(gaps.size() == block_count(elements));
    for (std::size_t block = 0; block < gaps.size(); ++block) {
        const std::size_t begin = block * kBlockElements;
        const std::size_t end = std::min(elements, begin + kBlockElements);
        float largest = 0.0F;
#pragma omp simd reduction(max : largest)
        for (std::size_t i = begin; i < end; ++i) {
            float d = 0.0F;
            std::memcpy(&d, delta.data() + i * sizeof(float), sizeof(float));
            const float size = std::fabs(d);
            largest = size > largest ? size : largest;
        }
        gaps[block] = largest / static_cast<float>(coefficient);
    }
}

Offer PlainEncoding::offer(ByteView raw, std::span<const float> /*gaps*/, std::span<std::byte> wire)
    const {
    if (raw.data() != wire.data()) encode(raw, wire);
    return {wire.size(), 0.0};
}

Difference PlainEncoding::answer(ByteView offer, ByteView raw, Reply& reply, const Share& share)
    const {
    if (raw.data() != reply.wire.data()) encode(raw, reply.wire);
    reply.bytes = reply.wire.size();
    return PlainEncoding::settle(offer, reply.wire, share);
}

Difference PlainEncoding::settle(ByteView reply, ByteView offered, const Share& share) const {
    const auto result = difference(reply, offered, share.coefficient, share.delta);
    if (result.finite && !share.gaps.empty()) {
        measure_gaps(share.delta, share.coefficient, share.gaps);
    }
    return result;
}

const PlainEncoding* find_plain_encoding(Encoding encoding) {
    static const F32Encoding f32;
    static const Exact64Encoding exact64;
    static const Bf16Encoding bf16;
    switch (encoding) {
        case Encoding::F32:
            return &f32;
        case Encoding::Exact64:
            return &exact64;
        case Encoding::Bf16:
            return &bf16;
        case Encoding::Lattice8:
        case Encoding::Lattice4:
            return nullptr;
    }
    return nullptr;
}

const ChunkEncoding* find_encoding(Encoding encoding) {
    static const LatticeEncoding lattice8(8);
    static const LatticeEncoding lattice4(4);
    if (encoding == Encoding::Lattice8) return &lattice8;
    if (encoding == Encoding::Lattice4) return &lattice4;
    return find_plain_encoding(encoding);
}

}  // namespace starling::gossip
