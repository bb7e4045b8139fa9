// Goal: no two lives of a peer share a boot epoch, whenever the power fails and however full the disk
// is, and a full disk keeps no peer from starting that has started before. Method: a disk in memory
// that loses its power after each change or has no room; each disk that the next life may find is
// tried.

#include "peer/crypto/epoch.hpp"

#include <gtest/gtest.h>

#include "peer/machine/files.hpp"
#include "peer/virtual/memory_disk.hpp"

namespace starling::peer {
namespace {

using peer_virtual::MemoryDisk;

constexpr const char* kPath = "state/epoch";

void put(MemoryDisk& disk, std::string_view text) {
    ASSERT_TRUE(write_file_atomically(disk, kPath, as_byte_view(text), 0600).has_value());
}

/// Returns the epoch of a life on this disk; 0 if it cannot begin.
std::uint64_t live(MemoryDisk& disk) {
    const auto epoch = raise_epoch(disk, kPath, 1);
    return epoch ? *epoch : 0;
}

TEST(Epoch, RisesWithEachLife) {
    MemoryDisk disk;
    for (std::uint64_t life = 1; life < 12; ++life) EXPECT_EQ(live(disk), life);
    EXPECT_EQ(*raise_epoch(disk, kPath, 1000), 1000U);
    EXPECT_EQ(*raise_epoch(disk, kPath, 7), 1001U);
}

TEST(Epoch, OnAFullDiskAPeerThatHasStartedBeforeStartsAgain) {
    MemoryDisk disk;
    EXPECT_EQ(live(disk), 1U);
    disk.fill_up_after(0);
    for (std::uint64_t life = 2; life < 120; ++life) EXPECT_EQ(live(disk), life);
}

TEST(Epoch, AFileOfAnOlderReleaseHasRoomForAsManyDigits) {
    MemoryDisk disk;
    put(disk, "8\n");
    disk.fill_up_after(0);
    EXPECT_EQ(live(disk), 9U);
    EXPECT_EQ(live(disk), 0U) << "two digits need room";
    disk.fill_up_after(100);
    EXPECT_EQ(live(disk), 10U);
}

TEST(Epoch, WhereNothingCanBeWrittenOneLineNamesTheFile) {
    for (const bool first : {true, false}) {
        MemoryDisk disk;
        if (!first) put(disk, "7\n");
        disk.fill_up_after(0);
        disk.refuse_overwrites();
        const auto epoch = raise_epoch(disk, kPath, 1);
        ASSERT_FALSE(epoch.has_value());
        EXPECT_EQ(epoch.error().code, kDiskFull);
        EXPECT_NE(epoch.error().message.find(kPath), std::string::npos);
        EXPECT_NE(epoch.error().message.find("full"), std::string::npos);
    }
}

/// Of many lives, each on a disk that may be full and whose power may fail at each change, no two
/// have one epoch.
TEST(Epoch, NoTwoLivesShareOneWheneverThePowerFails) {
    for (const bool full : {false, true}) {
        for (std::uint64_t changes = 0; changes < 12; ++changes) {
            MemoryDisk disk;
            put(disk, "8\n");
            ASSERT_EQ(live(disk), 9U);
            if (full) disk.fill_up_after(0);
            disk.lose_power_after(changes);
            const auto second = live(disk);
            for (MemoryDisk& next : disk.crashes()) {
                const auto third = live(next);
                EXPECT_GT(third, 9U) << changes;
                EXPECT_GT(third, second) << changes;
            }
        }
    }
}

TEST(Epoch, WhatIsNoNumberIsNotGuessed) {
    for (const char* text : {"", "x", "-1", "1 2", "18446744073709551615"}) {
        MemoryDisk disk;
        put(disk, text);
        EXPECT_EQ(raise_epoch(disk, kPath, 1).error().code, FaultCode::BadFormat) << text;
    }
}

}  // namespace
}  // namespace starling::peer
