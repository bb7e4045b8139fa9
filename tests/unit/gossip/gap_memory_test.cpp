// Goal: gaps are remembered by pair and chunk, within a bound. Method: more partners than fit.

#include "gossip/gap_memory.hpp"

#include <array>
#include <gtest/gtest.h>

#include "gossip/encoding/encoding.hpp"

namespace starling::gossip {
namespace {

PeerId id_of(std::size_t number) {
    PeerId id;
    id.bytes[0] = static_cast<std::uint8_t>(number);
    id.bytes[1] = static_cast<std::uint8_t>(number >> 8U);
    return id;
}

TEST(GapMemory, RemembersByPartnerAndChunk) {
    GapMemory memory;
    memory.lay_out(std::array<std::size_t, 3>{4096, 4097, 5});
    EXPECT_TRUE(memory.of(id_of(1), 1).empty());
    memory.note(id_of(1), 1, std::array<float, 2>{2.0F, 3.0F});
    ASSERT_EQ(memory.of(id_of(1), 1).size(), 2U);
    EXPECT_EQ(memory.of(id_of(1), 1)[1], 3.0F);
    EXPECT_TRUE(memory.of(id_of(1), 0).empty()) << "of the other chunks nothing is known";
    EXPECT_TRUE(memory.of(id_of(2), 1).empty());
    memory.forget(id_of(1), 1);
    EXPECT_TRUE(memory.of(id_of(1), 1).empty());
}

TEST(GapMemory, ForgetsThePartnerMetLongestAgo) {
    GapMemory memory;
    memory.lay_out(std::array<std::size_t, 1>{10});
    for (std::size_t i = 0; i < GapMemory::kPartnersMax; ++i) {
        memory.note(id_of(i), 0, std::array<float, 1>{1.0F});
    }
    memory.note(id_of(0), 0, std::array<float, 1>{2.0F});
    memory.note(id_of(1000), 0, std::array<float, 1>{1.0F});
    EXPECT_TRUE(memory.of(id_of(1), 0).empty());
    EXPECT_FALSE(memory.of(id_of(0), 0).empty());
    EXPECT_FALSE(memory.of(id_of(1000), 0).empty());
}

TEST(GapMemory, OfAModelTooLargeIsEmpty) {
    GapMemory memory;
    const std::vector<std::size_t> chunks(70000, kChunkElementsMax);
    memory.lay_out(chunks);
    memory.note(id_of(1), 0, std::vector<float>(kBlocksMax, 1.0F));
    EXPECT_TRUE(memory.of(id_of(1), 0).empty());
}

}  // namespace
}  // namespace starling::gossip
