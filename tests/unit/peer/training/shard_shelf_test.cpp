// Goal: a peer's next life finds the shards that it held, and nothing on the disk can put a wrong one
// into the store. Method: a disk in memory that becomes full, loses its power, or holds garbage.

#include "peer/training/shard_shelf.hpp"

#include <gtest/gtest.h>

#include "peer/crypto/sha256.hpp"
#include "peer/machine/files.hpp"
#include "peer/terms/data_set.hpp"
#include "peer/terms/shard_files.hpp"
#include "peer/virtual/memory_disk.hpp"
#include "tests/support/temporary_directory.hpp"
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
        (void)ShardShelf(disk_, kDirectory, store).keep();
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
    EXPECT_TRUE(shelf.keep().has_value());
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

std::size_t hashes = 0;

std::array<std::uint8_t, 32> counting_sha256(ByteView bytes) {
    ++hashes;
    return sha256(bytes);
}

/// Shelves on the real disk, whose files have stamps.
class StampedShelves : public ::testing::Test {
protected:
    void keep() {
        data::ShardStore store(sharded_.manifest, &sha256);
        for (const auto& bytes : sharded_.shards) ASSERT_TRUE(store.put(bytes).has_value());
        ShardShelf shelf(real_disk(), path_, store);
        ASSERT_TRUE(shelf.keep().has_value());
        EXPECT_TRUE(store.in_memory().empty());
        shelf.remember();
    }

    /// Returns how many shards the next life finds. `hashes` says how many it has hashed.
    [[nodiscard]] std::size_t found() {
        hashes = 0;
        data::ShardStore store(sharded_.manifest, &counting_sha256);
        ShardShelf(real_disk(), path_, store).read();
        EXPECT_TRUE(store.in_memory().empty()) << "they are mapped";
        return store.held();
    }

    [[nodiscard]] std::filesystem::path file(std::size_t shard) const {
        return path_ / sharded_.manifest.shards[shard].id.hex();
    }

    starling::testing::TemporaryDirectory directory_;
    std::filesystem::path path_ = directory_.path() / "shards";
    data::Sharded sharded_ = testing::tiny_shards();
};

TEST_F(StampedShelves, FilesThatStayAsTheyWereAreHashedOnce) {
    keep();
    EXPECT_EQ(found(), 3U);
    EXPECT_EQ(hashes, 0U) << "their bytes were hashed when they came";
    std::filesystem::remove(path_ / "verified");
    EXPECT_EQ(found(), 3U);
    EXPECT_EQ(hashes, 3U);
    EXPECT_EQ(found(), 3U);
    EXPECT_EQ(hashes, 0U);
}

TEST_F(StampedShelves, AFileThatWasWrittenAgainIsHashedAndRemovedIfItIsDamaged) {
    keep();
    ASSERT_TRUE(write_file_atomically(file(0), sharded_.shards[0], 0644).has_value());
    Bytes damaged = sharded_.shards[1];
    damaged.back() ^= std::byte{1};
    ASSERT_TRUE(write_file_atomically(file(1), damaged, 0644).has_value());
    EXPECT_EQ(found(), 2U);
    EXPECT_EQ(hashes, 2U);
    EXPECT_FALSE(std::filesystem::exists(file(1)));
    EXPECT_EQ(found(), 2U);
    EXPECT_EQ(hashes, 0U);
}

TEST_F(StampedShelves, ADamagedFileWithTheOldStampIsCaughtByItsHeader) {
    keep();
    const auto list = *read_file(path_ / "verified", 10000);
    const auto before = real_disk().stamp(file(0));
    Bytes damaged = sharded_.shards[0];
    damaged[0] ^= std::byte{1};
    ASSERT_TRUE(write_file_atomically(file(0), damaged, 0644).has_value());
    const auto after = real_disk().stamp(file(0));
    std::string text(as_text(list));
    const auto words = [](const FileStamp& stamp) {
        return std::to_string(stamp.changed) + " " + std::to_string(stamp.inode);
    };
    text.replace(text.find(words(*before)), words(*before).size(), words(*after));
    ASSERT_TRUE(write_file_atomically(path_ / "verified", as_byte_view(text), 0644).has_value());
    EXPECT_EQ(found(), 2U);
    EXPECT_EQ(hashes, 0U);
}

TEST_F(StampedShelves, TheFileOfAShardThatWasGivenUpGoes) {
    data::ShardStore store(sharded_.manifest, &sha256);
    for (const auto& bytes : sharded_.shards) ASSERT_TRUE(store.put(bytes).has_value());
    ShardShelf shelf(real_disk(), path_, store);
    ASSERT_TRUE(shelf.keep().has_value());
    const auto id = sharded_.manifest.shards[0].id;
    ASSERT_TRUE(store.drop(id));
    ASSERT_TRUE(shelf.keep().has_value());
    EXPECT_FALSE(std::filesystem::exists(file(0)));
    EXPECT_TRUE(std::filesystem::exists(file(1)));
    // Given up and here again before the files were looked after.
    ASSERT_TRUE(store.drop(sharded_.manifest.shards[1].id));
    ASSERT_TRUE(store.put(sharded_.shards[1]).has_value());
    ASSERT_TRUE(shelf.keep().has_value());
    EXPECT_TRUE(std::filesystem::exists(file(1)));
    EXPECT_TRUE(store.get(sharded_.manifest.shards[1].id).bytes.mapped);
    shelf.remember();
    EXPECT_EQ(found(), 2U);
}

TEST_F(StampedShelves, ShardsOfOtherSwarmsGo) {
    keep();
    const auto foreign = path_ / std::string(64, 'a');
    ASSERT_TRUE(write_file_atomically(foreign, as_byte_view("x"), 0644).has_value());
    EXPECT_EQ(found(), 3U);
    EXPECT_FALSE(std::filesystem::exists(foreign));
}

/// Shards of tokens that lie in a user's own file.
class FiledShelves : public ::testing::Test {
protected:
    FiledShelves() {
        std::filesystem::create_directory(bins_);
        for (const auto* name : {"train.bin", "val.bin"}) {
            std::string tokens;
            for (int i = 0; i < 100'000; ++i) {
                tokens += static_cast<char>(i % 61);
                tokens += '\0';
            }
            starling::testing::write_quickly(bins_ / name, as_byte_view(tokens));
        }
        auto cut = cut_for_swarm("bin:" + bins_.string() + "?context=4096&vocab=64", "", {}, path_);
        EXPECT_TRUE(cut.has_value()) << cut.error().message;
        data_ = std::move(cut->sharded);
        data::ShardStore store(data_.manifest, &sha256);
        for (std::size_t i = 0; i < data_.shards.size(); ++i) {
            const auto put = store.put_known(data_.manifest.shards[i].id, data_.shards[i]);
            EXPECT_TRUE(put.has_value());
        }
        ShardShelf(real_disk(), path_, store).read();
    }

    /// Returns how many shards the next life holds.
    std::size_t found() {
        data::ShardStore store(data_.manifest, &sha256);
        ShardShelf shelf(real_disk(), path_, store);
        shelf.read();
        lost_ = shelf.lost();
        return store.held();
    }

    [[nodiscard]] std::size_t lists() const {
        std::size_t count = 0;
        for (const auto& entry : std::filesystem::directory_iterator(path_)) {
            count += entry.path().extension() == kExtentsSuffix ? 1U : 0U;
        }
        return count;
    }

    starling::testing::TemporaryDirectory directory_;
    std::filesystem::path path_ = directory_.path() / "shards";
    std::filesystem::path bins_ = directory_.path() / "bins";
    CutShards data_;
    ShardShelf::Lost lost_;
};

TEST_F(FiledShelves, TheNextLifeFindsThemWithoutACopy) {
    ASSERT_GT(data_.shards.size(), 3U);
    EXPECT_EQ(lists(), data_.shards.size());
    EXPECT_EQ(found(), data_.shards.size());
    EXPECT_EQ(lost_.shards, 0U);
    std::filesystem::remove(path_ / "verified");
    EXPECT_EQ(found(), data_.shards.size()) << "then their bytes are hashed";
}

TEST_F(FiledShelves, WhatIsAwayTodayMayBeThereTomorrow) {
    std::filesystem::rename(bins_, directory_.path() / "away");
    EXPECT_EQ(found(), 0U);
    EXPECT_EQ(lost_.shards, data_.shards.size());
    EXPECT_EQ(std::filesystem::path(lost_.file).parent_path(), bins_);
    EXPECT_EQ(lists(), data_.shards.size());
    std::filesystem::rename(directory_.path() / "away", bins_);
    EXPECT_EQ(found(), data_.shards.size());
}

TEST_F(FiledShelves, WhatHasChangedIsOfNoUse) {
    starling::testing::write_quickly(bins_ / "train.bin", as_byte_view("other"));
    EXPECT_EQ(found(), 1U) << "the part of val.bin";
    EXPECT_EQ(lists(), 1U);
}

TEST_F(FiledShelves, AListThatADiskHasDamagedGoes) {
    const auto id = data_.manifest.shards[0].id;
    const auto path = path_ / (id.hex() + kExtentsSuffix);
    auto bytes = *read_file(path, 100'000);
    bytes[bytes.size() / 2] ^= std::byte{64};
    starling::testing::write_quickly(path, bytes);
    EXPECT_EQ(found(), data_.shards.size() - 1);
    EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(FiledShelves, AFileThatChangesWhileAPeerRunsCostsItsShards) {
    data::ShardStore store(data_.manifest, &sha256);
    ShardShelf shelf(real_disk(), path_, store);
    shelf.read();
    ASSERT_EQ(store.held(), data_.shards.size());
    starling::testing::write_quickly(bins_ / "train.bin", as_byte_view("other"));
    ASSERT_TRUE(shelf.keep().has_value());
    EXPECT_EQ(shelf.lost().shards, 0U) << "nobody has read it";
    const auto id = data_.manifest.shards[0].id;
    Bytes room;
    EXPECT_TRUE(store.get(id).read(0, 100, room).has_error());
    ASSERT_TRUE(shelf.keep().has_value());
    EXPECT_EQ(shelf.lost().shards, 1U);
    EXPECT_FALSE(store.has(id));
    EXPECT_FALSE(std::filesystem::exists(path_ / (id.hex() + kExtentsSuffix)));
}

}  // namespace
}  // namespace starling::peer
