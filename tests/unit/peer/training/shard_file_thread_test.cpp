// Goal: shards move into files without anybody waiting, and a full disk neither loses them nor lets
// memory grow. Method: the real thread over a disk in memory, which only that thread uses while it runs.

#include "peer/training/shard_file_thread.hpp"

#include <gtest/gtest.h>

#include "peer/virtual/memory_disk.hpp"
#include "tests/unit/peer/training/tiny_data.hpp"

namespace starling::peer {
namespace {

using peer_virtual::MemoryDisk;

class ShardFileThreads : public ::testing::Test {
protected:
    void put_all() {
        for (const auto& bytes : sharded_.shards) ASSERT_TRUE(store_.put(bytes).has_value());
    }

    data::Sharded sharded_ = testing::tiny_shards();
    data::ShardStore store_{sharded_.manifest, &sha256};
    MemoryDisk disk_;
};

TEST_F(ShardFileThreads, WhatComesIsInFilesWhenItHasStopped) {
    {
        ShardFileThread files(disk_, "shards", store_);
        ASSERT_TRUE(store_.put(sharded_.shards[0]).has_value());
        files.start();
        put_all();
        files.stop();
        EXPECT_EQ(files.report().error, "");
    }
    EXPECT_TRUE(store_.in_memory().empty());
    EXPECT_EQ(disk_.list("shards").size(), 3U);
    data::ShardStore next(sharded_.manifest, &sha256);
    ShardFileThread files(disk_, "shards", next);
    files.start();
    EXPECT_EQ(next.held(), 3U) << "the start waits until they are read";
}

TEST_F(ShardFileThreads, WithoutADirectoryTheyAreMappedAllTheSame) {
    ShardFileThread files(disk_, {}, store_);
    files.start();
    put_all();
    files.stop();
    EXPECT_TRUE(store_.in_memory().empty());
    EXPECT_TRUE(disk_.list(".").empty());
}

TEST_F(ShardFileThreads, OnAFullDiskTheyStayInMemoryAndAreWrittenOnceThereIsRoom) {
    disk_.set_capacity(10);
    ShardFileThread files(disk_, "shards", store_);
    files.start();
    put_all();
    EXPECT_TRUE(files.await_room()) << "so few bytes may wait";
    files.stop();
    EXPECT_GE(files.report().failed, 1U);
    EXPECT_NE(files.report().error, "");
    EXPECT_EQ(store_.held(), 3U);
    EXPECT_EQ(store_.in_memory().size(), 3U);
    disk_.set_capacity(1U << 20U);
    ShardFileThread again(disk_, "shards", store_);
    again.start();
    again.stop();
    EXPECT_TRUE(store_.in_memory().empty());
    EXPECT_EQ(again.report().error, "");
}

}  // namespace
}  // namespace starling::peer
