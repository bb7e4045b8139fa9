#include "gossip/encoding/encoding.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/check.hpp"

namespace starling::gossip {

void measure_gaps(ByteView delta, double coefficient, std::span<BlockGap> gaps) {
    const std::size_t elements = delta.size() / sizeof(float);
    STARLING_CHECK(gaps.size() == block_count(elements));
    for (std::size_t block = 0; block < gaps.size(); ++block) {
        const std::size_t begin = block * kBlockElements;
        const std::size_t end = std::min(elements, begin + kBlockElements);
        float largest = 0.0F;
        float squares = 0.0F;
#pragma omp simd reduction(max : largest) reduction(+ : squares)
        for (std::size_t i = begin; i < end; ++i) {
            float d = 0.0F;
            std::memcpy(&d, delta.data() + i * sizeof(float), sizeof(float));
            const float size = std::fabs(d);
            largest = size > largest ? size : largest;
            squares += d * d;
        }
        const auto share = static_cast<float>(coefficient);
        const float mean = squares / static_cast<float>(end - begin);
        gaps[block] = {largest / share, std::sqrt(mean) / share};
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
    return PlainEncoding::take_reply(offer, reply.wire, share);
}

Difference PlainEncoding::take_reply(ByteView reply, ByteView offered, const Share& share) const {
    const auto result = weighted(reply, offered, share);
    if (result.finite && !share.gaps.empty()) measure_gaps(share.delta, share.mine(), share.gaps);
    return result;
}

}  // namespace starling::gossip
