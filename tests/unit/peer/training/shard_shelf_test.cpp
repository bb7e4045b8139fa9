// Goal: a peer's next life finds the shards that it held, and nothing on the disk can put a wrong one
// into the store. Method: a disk in memory that becomes full, loses its power, or holds garbage.

#include "peer/training/shard_shelf.hpp"

#include <gtest/gtest.h>

#include "peer/machine/files.hpp"
#include "peer/virtual/memory_disk.hpp"
#include "tests/unit/peer/training/tiny_data.hpp"

namespace starling::peer {
namespace {

using peer_virtual::MemoryDisk;

constexpr const char* kDirectory = "state/shards";

class ShardShelves : public ::testing::Test {
protected:
    /// Keeps these shards as a life that holds them would.
    void keep(std::span<const Bytes> held) {
        data::ShardStore store(sharded_.manifest, &sha256);
        for (const auto& bytes : held) ASSERT_TRUE(store.put(bytes).has_value());
        ShardShelf(disk_, kDirectory, store).keep();
    }

    /// Returns how many shards the next life holds before it has talked to anybody.
    [[nodiscard]] std::size_t found() {
        data::ShardStore store(sharded_.manifest, &sha256);
        ShardShelf(disk_, kDirectory, store).read();
        return store.held();
    }

    data::Sharded sharded_ = testing::tiny_shards();
    MemoryDisk disk_;
};

TEST_F(ShardShelves, WhatIsHeldIsFoundByTheNextLife) {
    EXPECT_EQ(found(), 0U);
    keep(std::span(sharded_.shards).first(2));
    EXPECT_EQ(found(), 2U);
    EXPECT_TRUE(disk_.exists(std::string(kDirectory) + "/" + sharded_.manifest.shards[0].id.hex()));
    keep(sharded_.shards);
    EXPECT_EQ(found(), 3U);
    EXPECT_EQ(disk_.list(kDirectory).size(), 3U);
}

TEST_F(ShardShelves, WithoutADirectoryNothingIsKept) {
    data::ShardStore store(sharded_.manifest, &sha256);
    ASSERT_TRUE(store.put(sharded_.shards[0]).has_value());
    ShardShelf shelf(disk_, {}, store);
    shelf.keep();
    shelf.read();
    EXPECT_TRUE(disk_.list(".").empty());
}

TEST_F(ShardShelves, DamagedAndForeignFilesAreSkipped) {
    keep(sharded_.shards);
    Bytes damaged = sharded_.shards[0];
    damaged.back() ^= std::byte{1};
    const auto path = std::string(kDirectory) + "/" + sharded_.manifest.shards[0].id.hex();
    ASSERT_TRUE(write_file_atomically(disk_, path, damaged, 0644).has_value());
    const auto foreign = std::string(kDirectory) + "/notes";
    ASSERT_TRUE(write_file_atomically(disk_, foreign, as_byte_view("x"), 0644).has_value());
    EXPECT_EQ(found(), 2U);
}

TEST_F(ShardShelves, WhatAKilledPeerHasLeftHalfWrittenGoes) {
    keep(std::span(sharded_.shards).first(1));
    const auto torn = std::string(kDirectory) + "/" + sharded_.manifest.shards[1].id.hex() + ".tmp";
    ASSERT_TRUE(disk_.create(torn, 0644).has_value());
    EXPECT_EQ(found(), 1U);
    EXPECT_FALSE(disk_.exists(torn));
}

TEST_F(ShardShelves, AFullDiskLosesCopiesOnlyAndALaterCallKeepsThem) {
    disk_.set_capacity(sharded_.shards[0].size() + 10);
    keep(sharded_.shards);
    EXPECT_EQ(found(), 1U);
    EXPECT_EQ(disk_.list(kDirectory).size(), 1U) << "the part that fitted is removed";
    disk_.set_capacity(1U << 20U);
    keep(sharded_.shards);
    EXPECT_EQ(found(), 3U);
}

TEST_F(ShardShelves, ALossOfPowerAtAnyChangeLeavesOnlyWholeShards) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        for (std::uint64_t changes = 0; changes < 20; ++changes) {
            Rng rng(seed);
            disk_ = MemoryDisk();
            keep(std::span(sharded_.shards).first(1));
            disk_.lose_power_after(changes);
            keep(sharded_.shards);
            disk_ = disk_.crash(rng);
            EXPECT_GE(found(), 1U);
            keep(sharded_.shards);
            EXPECT_EQ(found(), 3U);
        }
    }
}

}  // namespace
}  // namespace starling::peer
