#include "gossip/encoding/exact64.hpp"

#include <cmath>
#include <cstring>

#include "base/check.hpp"

namespace starling::gossip {
namespace {

__extension__ using Wide = __int128;

/// The coefficient is counted in these, so that both sides compute with the same integers.
constexpr double kUnits = 0x1p32;

}  // namespace

void Exact64Encoding::encode(ByteView raw, std::span<std::byte> wire) const {
    STARLING_CHECK(raw.size() == wire.size());
    std::memcpy(wire.data(), raw.data(), raw.size());
}

Difference Exact64Encoding::difference(
    ByteView theirs, ByteView mine, double coefficient, std::span<std::byte> delta
) const {
    return weighted(theirs, mine, {coefficient, delta});
}

Difference Exact64Encoding::weighted(ByteView theirs, ByteView mine, const Share& share) const {
    const auto delta = share.delta;
    STARLING_CHECK(theirs.size() == mine.size() && delta.size() == mine.size());
    const auto doubled = static_cast<std::int64_t>(std::llround(2.0 * share.coefficient * kUnits));
    const auto whole = static_cast<Wide>(kUnits) *
                       (1 + (Wide{1} << (unsigned{share.tilt.own} + unsigned{share.tilt.other})));
    constexpr std::size_t kWidth = sizeof(std::int64_t);
    Difference sum;
    for (std::size_t at = 0; at + kWidth <= mine.size(); at += kWidth) {
        std::int64_t t = 0;
        std::int64_t m = 0;
        std::memcpy(&t, theirs.data() + at, kWidth);
        std::memcpy(&m, mine.data() + at, kWidth);
        std::int64_t gap = 0;
        if (__builtin_sub_overflow(t, m, &gap)) sum.finite = false;
        // No more than the gap in size, so it fits.
        const auto d = static_cast<std::int64_t>(
            Wide{gap} * doubled / whole * (Wide{1} << unsigned{share.tilt.own})
        );
        std::memcpy(delta.data() + at, &d, kWidth);
        sum.squared_distance += static_cast<double>(gap) * static_cast<double>(gap);
        sum.squared_norm += static_cast<double>(m) * static_cast<double>(m);
    }
    return sum;
}

}  // namespace starling::gossip
