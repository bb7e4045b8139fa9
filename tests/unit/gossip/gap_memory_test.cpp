// Goal: the gaps of the last exchange are remembered by chunk, whoever the partner was and however large
// the model is. Method: notes of several slots, and a model of a billion parameters.

#include "gossip/gap_memory.hpp"

#include <array>
#include <cmath>
#include <gtest/gtest.h>

#include "base/rng.hpp"

namespace starling::gossip {
namespace {

TEST(GapMemory, RemembersTheLastExchangeOfEachSlot) {
    GapMemory memory;
    memory.lay_out(std::array<std::size_t, 3>{4096, 4097, 5});
    EXPECT_TRUE(memory.latest(1).empty());
    memory.note(1, std::array<BlockGap, 2>{BlockGap{2.0F, 0.5F}, {3.0F, 0.25F}});
    ASSERT_EQ(memory.latest(1).size(), 2U);
    EXPECT_EQ(memory.latest(1)[0], (BlockGap{2.0F, 0.5F}));
    EXPECT_EQ(memory.latest(1)[1], (BlockGap{3.0F, 0.25F}));
    EXPECT_TRUE(memory.latest(0).empty()) << "of the other chunks nothing is known";
    EXPECT_TRUE(memory.latest(2).empty());
    memory.note(1, std::array<BlockGap, 2>{BlockGap{1.0F, 0.5F}, {1.0F, 0.25F}});
    EXPECT_EQ(memory.latest(1)[1], (BlockGap{1.0F, 0.25F}));
    memory.note(0, std::array<BlockGap, 1>{});
    EXPECT_EQ(memory.latest(0)[0], BlockGap{}) << "no gap at all is known, too";
}

TEST(GapMemory, OfABillionParametersIsWhole) {
    static_assert(sizeof(BlockGap) == 8);
    GapMemory memory;
    const std::vector<std::size_t> chunks(15'259, kChunkElementsMax);
    memory.lay_out(chunks);
    const std::vector<BlockGap> gaps(kBlocksMax, BlockGap{1.0F, 0.5F});
    memory.note(15'258, gaps);
    ASSERT_EQ(memory.latest(15'258).size(), kBlocksMax);
    EXPECT_EQ(memory.latest(15'258)[15], gaps[15]);
    EXPECT_TRUE(memory.latest(15'257).empty());
}

TEST(GapMemory, CautionLetsOneOfferIn260Wrap) {
    GapMemory memory;
    EXPECT_EQ(memory.caution(), 1.0);
    // Gaps that vary log-normally by a third: with too little caution most wrap.
    Rng rng(5);
    std::size_t wrapped = 0;
    constexpr int kOffers = 20000;
    for (int i = 0; i < kOffers; ++i) {
        const bool wraps = std::exp(0.3 * rng.normal()) > 1.3 * memory.caution();
        wraps ? memory.wrapped() : memory.decoded();
        wrapped += wraps ? 1U : 0U;
    }
    EXPECT_NEAR(static_cast<double>(wrapped) / kOffers, 0.0038, 0.001);
    EXPECT_GT(memory.caution(), 1.2);
    for (int i = 0; i < 100; ++i) memory.wrapped();
    EXPECT_EQ(memory.caution(), 3.0);
    for (int i = 0; i < 2000; ++i) memory.decoded();
    EXPECT_EQ(memory.caution(), 1.0);
}

}  // namespace
}  // namespace starling::gossip
