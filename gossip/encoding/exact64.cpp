#include "gossip/encoding/exact64.hpp"

#include <cstring>

#include "base/check.hpp"

namespace starling::gossip {

void Exact64Encoding::encode(ByteView raw, std::span<std::byte> wire) const {
    STARLING_CHECK(raw.size() == wire.size());
    std::memcpy(wire.data(), raw.data(), raw.size());
}

Difference Exact64Encoding::difference(
    ByteView theirs, ByteView mine, double coefficient, std::span<std::byte> delta
) const {
    STARLING_CHECK(theirs.size() == mine.size() && delta.size() == mine.size());
    STARLING_CHECK(coefficient == 0.5);
    constexpr std::size_t kWidth = sizeof(std::int64_t);
    Difference sum;
    for (std::size_t at = 0; at + kWidth <= mine.size(); at += kWidth) {
        std::int64_t t = 0;
        std::int64_t m = 0;
        std::memcpy(&t, theirs.data() + at, kWidth);
        std::memcpy(&m, mine.data() + at, kWidth);
        std::int64_t gap = 0;
        if (__builtin_sub_overflow(t, m, &gap)) sum.finite = false;
        const std::int64_t d = gap / 2;
        std::memcpy(delta.data() + at, &d, kWidth);
        sum.squared_distance += static_cast<double>(gap) * static_cast<double>(gap);
        sum.squared_norm += static_cast<double>(m) * static_cast<double>(m);
    }
    return sum;
}

}  // namespace starling::gossip
