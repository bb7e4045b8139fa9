// Goal: no wrap goes unnoticed, over ten million adversarial pairs. Method: codes that decode to
// multiples of 2^bits away, in pairs and triples that cancel in sums, against the block's hash.

#include <array>
#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "gossip/encoding/lattice_kernel.hpp"

namespace starling::gossip::lattice {
namespace {

constexpr std::size_t kElements = 32;

TEST(LatticeWrap, IsNoticedOverTenMillionPairs) {
    Rng rng(9);
    std::array<float, kElements> theirs{};
    std::array<float, kElements> mine{};
    std::array<float, kElements> delta{};
    std::array<std::byte, kElements> codes{};
    std::array<std::byte, kElements> reply{};
    const Isa isa = best_isa();
    std::uint64_t missed = 0;
    for (int pair = 0; pair < 10'000'000; ++pair) {
        Block block;
        block.bits = pair % 2 == 0 ? 4 : 8;
        block.elements = kElements;
        block.scale = 1.0F;
        block.step = 0.5F;
        const float range = block.bits == 4 ? 16.0F : 256.0F;
        for (std::size_t i = 0; i < kElements; ++i) {
            theirs[i] = static_cast<float>(rng.below(2001)) - 1000.0F;
            mine[i] = theirs[i] + static_cast<float>(rng.below(13)) - 6.0F;
        }
        // Two to four wraps that sum to zero: +1 -1, +1 -1 +1 -1, +2 -1 -1.
        const auto at = static_cast<std::size_t>(rng.below(kElements - 3));
        const auto kind = rng.below(3);
        mine[at] += range * (kind == 2 ? 2.0F : 1.0F);
        mine[at + 1] -= range;
        if (kind >= 1) mine[at + 2] += range * (kind == 2 ? -1.0F : 1.0F);
        if (kind == 1) mine[at + 3] -= range;
        block.raw = std::as_bytes(std::span(theirs)).data();
        block.codes = codes.data();
        const auto truth = quantize(block, isa);
        block.raw = std::as_bytes(std::span(mine)).data();
        block.theirs = codes.data();
        block.codes = reply.data();
        block.delta = std::as_writable_bytes(std::span(delta)).data();
        if (answer(block, isa).hash == truth) ++missed;
    }
    EXPECT_EQ(missed, 0U) << "seed 9";
}

}  // namespace
}  // namespace starling::gossip::lattice
