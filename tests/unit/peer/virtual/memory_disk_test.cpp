// Goal: the disk in memory loses at a loss of power what a real one may lose, and nothing else.
// Method: the same writes under many seeds; each outcome that is allowed must occur, no other may.

#include "peer/virtual/memory_disk.hpp"

#include <gtest/gtest.h>
#include <set>
#include <string>

namespace starling::peer_virtual {
namespace {

constexpr std::uint64_t kSeeds = 200;

std::string contents(MemoryDisk& disk, const std::filesystem::path& path) {
    auto file = disk.open(path, 1000);
    if (!file) return std::string("(") + std::string(to_string(file.error().code)) + ")";
    Bytes bytes((*file)->size());
    EXPECT_TRUE((*file)->read(bytes).has_value());
    return std::string(as_text(bytes));
}

/// Writes a file whose bytes are safe. Its name is not until the directory is synced.
void put(MemoryDisk& disk, const std::filesystem::path& path, std::string_view text) {
    auto file = disk.create(path, 0600);
    ASSERT_TRUE(file.has_value());
    ASSERT_TRUE((*file)->append(as_byte_view(text)).has_value());
    ASSERT_TRUE((*file)->sync().has_value());
}

/// Returns all that the lives after a crash read under this name.
std::set<std::string> outcomes(const MemoryDisk& disk, const std::filesystem::path& path) {
    std::set<std::string> found;
    for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
        Rng rng(seed);
        MemoryDisk next = disk.crash(rng);
        found.insert(contents(next, path));
    }
    return found;
}

TEST(MemoryDisk, SyncedBytesUnderASyncedNameSurvive) {
    MemoryDisk disk;
    put(disk, "d/a", "whole");
    ASSERT_TRUE(disk.sync_directory("d").has_value());
    EXPECT_EQ(outcomes(disk, "d/a"), std::set<std::string>{"whole"});
}

TEST(MemoryDisk, ANameThatIsNotSyncedMayBeLost) {
    MemoryDisk disk;
    put(disk, "d/a", "whole");
    ASSERT_TRUE(disk.sync_directory("elsewhere").has_value());
    EXPECT_EQ(outcomes(disk, "d/a"), (std::set<std::string>{"whole", "(NotFound)"}));
}

TEST(MemoryDisk, ARenameHappensWhollyOrNotAtAll) {
    MemoryDisk disk;
    put(disk, "d/a", "old");
    put(disk, "d/b", "new");
    ASSERT_TRUE(disk.sync_directory("d").has_value());
    ASSERT_TRUE(disk.rename("d/b", "d/a").has_value());
    EXPECT_EQ(contents(disk, "d/a"), "new");
    for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
        Rng rng(seed);
        MemoryDisk next = disk.crash(rng);
        const bool done = contents(next, "d/a") == "new";
        EXPECT_EQ(contents(next, "d/a"), done ? "new" : "old");
        EXPECT_EQ(contents(next, "d/b"), done ? "(NotFound)" : "new");
    }
    EXPECT_EQ(outcomes(disk, "d/a").size(), 2U);
    EXPECT_EQ(disk.rename("d/b", "d/a").error().code, FaultCode::NotFound);
}

TEST(MemoryDisk, BytesThatAreNotSyncedMayBeTornOrGarbage) {
    MemoryDisk disk;
    auto file = disk.create("d/a", 0600);
    ASSERT_TRUE(file.has_value());
    ASSERT_TRUE((*file)->append(as_byte_view("safe")).has_value());
    ASSERT_TRUE((*file)->sync().has_value());
    ASSERT_TRUE((*file)->append(as_byte_view("rest")).has_value());
    ASSERT_TRUE(disk.sync_directory("d").has_value());
    const auto found = outcomes(disk, "d/a");
    bool garbage = false;
    for (const auto& text : found) {
        EXPECT_EQ(text.substr(0, 4), "safe");
        EXPECT_LE(text.size(), 8U);
        garbage = garbage || std::string("saferest").substr(0, text.size()) != text;
    }
    EXPECT_TRUE(garbage);
    for (const char* torn : {"safe", "safer", "saferest"})
        EXPECT_TRUE(found.contains(torn)) << torn;
}

TEST(MemoryDisk, WithoutPowerEverythingFailsUntilTheNextLife) {
    MemoryDisk disk;
    put(disk, "d/a", "old");
    ASSERT_TRUE(disk.sync_directory("d").has_value());
    auto file = disk.create("d/b", 0600);
    ASSERT_TRUE(file.has_value());
    disk.lose_power_after(1);
    ASSERT_TRUE((*file)->append(as_byte_view("x")).has_value());
    EXPECT_FALSE(disk.has_power());
    EXPECT_EQ((*file)->append(as_byte_view("x")).error().code, FaultCode::Io);
    EXPECT_EQ((*file)->sync().error().code, FaultCode::Io);
    EXPECT_EQ(disk.rename("d/b", "d/a").error().code, FaultCode::Io);
    EXPECT_EQ(disk.sync_directory("d").error().code, FaultCode::Io);
    EXPECT_EQ(contents(disk, "d/a"), "(Io)");
    disk.remove("d/a");
    Rng rng(1);
    MemoryDisk next = disk.crash(rng);
    EXPECT_EQ(contents(next, "d/a"), "old");
}

/// Returns all that the lives after a crash may read under this name.
std::set<std::string> all_outcomes(const MemoryDisk& disk, const std::filesystem::path& path) {
    std::set<std::string> found;
    for (MemoryDisk& next : disk.crashes()) found.insert(contents(next, path));
    return found;
}

TEST(MemoryDisk, AllOutcomesOfACrashAreGiven) {
    MemoryDisk disk;
    put(disk, "d/a", "old");
    ASSERT_TRUE(disk.sync_directory("d").has_value());
    put(disk, "d/b", "new");
    ASSERT_TRUE(disk.link("d/a", "d/c").has_value());
    ASSERT_TRUE(disk.rename("d/b", "d/a").has_value());
    EXPECT_EQ(disk.crashes().size(), 8U * 4U);
    EXPECT_EQ(all_outcomes(disk, "d/a"), (std::set<std::string>{"old", "new"}));
    EXPECT_EQ(all_outcomes(disk, "d/b"), (std::set<std::string>{"(NotFound)", "new"}));
    EXPECT_EQ(all_outcomes(disk, "d/c"), (std::set<std::string>{"(NotFound)", "old"}));
}

TEST(MemoryDisk, AllThatATornFileMayHoldIsGiven) {
    MemoryDisk disk;
    put(disk, "d/a", "1234");
    ASSERT_TRUE(disk.sync_directory("d").has_value());
    auto file = disk.create("d/b", 0600);
    ASSERT_TRUE((*file)->append(as_byte_view("abcd")).has_value());
    ASSERT_TRUE(disk.sync_directory("d").has_value());
    EXPECT_EQ(all_outcomes(disk, "d/a"), std::set<std::string>{"1234"});
    const std::string zeros(4, '\0');
    EXPECT_EQ(all_outcomes(disk, "d/b"), (std::set<std::string>{"", "ab", zeros, "abcd"}));
}

TEST(MemoryDisk, TwoNamesAreOneFileAndTakeItsRoomOnce) {
    MemoryDisk disk;
    disk.set_capacity(6);
    put(disk, "d/a", "1234");
    ASSERT_TRUE(disk.link("d/a", "d/b").has_value());
    EXPECT_EQ(disk.link("d/a", "d/b").error().code, FaultCode::Io) << "the name is taken";
    put(disk, "d/c", "56");
    disk.remove("d/a");
    EXPECT_EQ(contents(disk, "d/b"), "1234");
    disk.refuse_links();
    EXPECT_EQ(disk.link("d/b", "d/e").error().code, FaultCode::Io);
    EXPECT_EQ(disk.link("d/x", "d/e").error().code, FaultCode::NotFound);
}

TEST(MemoryDisk, AnOverwriteHappensWhollyOrNotAtAllAndNeedsNoRoom) {
    MemoryDisk disk;
    put(disk, "d/a", "old");
    ASSERT_TRUE(disk.sync_directory("d").has_value());
    disk.fill_up_after(0);
    disk.lose_power_after(1);
    EXPECT_FALSE(disk.overwrite("d/a", as_byte_view("new")).has_value());
    EXPECT_EQ(all_outcomes(disk, "d/a"), (std::set<std::string>{"old", "new"}));
    EXPECT_EQ(outcomes(disk, "d/a"), (std::set<std::string>{"old", "new"}));
    disk.lose_power_after(~std::uint64_t{0});
    ASSERT_TRUE(disk.overwrite("d/a", as_byte_view("end")).has_value());
    EXPECT_EQ(all_outcomes(disk, "d/a"), std::set<std::string>{"end"});
    disk.refuse_overwrites();
    EXPECT_EQ(disk.overwrite("d/a", as_byte_view("new")).error().code, peer::kDiskFull);
}

TEST(MemoryDisk, ADirectoryIsLostWithAllThatLiesInItUntilItsNameIsSafe) {
    MemoryDisk disk;
    ASSERT_TRUE(disk.make_directory("d", 0700).has_value());
    put(disk, "d/a", "whole");
    ASSERT_TRUE(disk.sync_directory("d").has_value());
    EXPECT_EQ(all_outcomes(disk, "d/a"), (std::set<std::string>{"whole", "(NotFound)"}));
    ASSERT_TRUE(disk.sync_directory(".").has_value());
    EXPECT_EQ(all_outcomes(disk, "d/a"), std::set<std::string>{"whole"});
}

TEST(MemoryDisk, ADirectoryInWhichSomethingLiesIsThereAndCannotBeLost) {
    MemoryDisk disk;
    EXPECT_FALSE(disk.exists("d"));
    put(disk, "d/a", "whole");
    ASSERT_TRUE(disk.sync_directory("d").has_value());
    EXPECT_TRUE(disk.exists("d"));
    ASSERT_TRUE(disk.make_directory("d", 0700).has_value());
    EXPECT_EQ(all_outcomes(disk, "d/a"), std::set<std::string>{"whole"});
}

TEST(MemoryDisk, ADiskThatFillsUpTakesNothingMore) {
    MemoryDisk disk;
    put(disk, "d/a", "old");
    auto file = disk.create("d/b", 0600);
    disk.fill_up_after(1);
    EXPECT_TRUE((*file)->append(as_byte_view("x")).has_value());
    EXPECT_EQ((*file)->append(as_byte_view("x")).error().code, peer::kDiskFull);
    EXPECT_EQ(disk.create("d/c", 0600).error().code, peer::kDiskFull);
    EXPECT_EQ(disk.link("d/a", "d/c").error().code, peer::kDiskFull);
    EXPECT_EQ(disk.make_directory("d/e", 0700).error().code, peer::kDiskFull);
    EXPECT_TRUE(disk.rename("d/b", "d/a").has_value()) << "a rename needs no room";
}

TEST(MemoryDisk, AFullDiskTakesWhatFits) {
    MemoryDisk disk;
    disk.set_capacity(6);
    put(disk, "d/a", "1234");
    auto file = disk.create("d/b", 0600);
    ASSERT_TRUE(file.has_value());
    EXPECT_EQ((*file)->append(as_byte_view("567")).error().code, peer::kDiskFull);
    EXPECT_EQ(contents(disk, "d/b"), "56");
    disk.remove("d/a");
    EXPECT_TRUE((*file)->append(as_byte_view("7890")).has_value());
    EXPECT_EQ(contents(disk, "d/b"), "567890");
}

TEST(MemoryDisk, AFullDiskStaysFullUntilItIsNot) {
    MemoryDisk disk;
    put(disk, "d/a", "old");
    ASSERT_TRUE(disk.sync_directory("d").has_value());
    disk.set_full(true);
    EXPECT_EQ(disk.create("d/b", 0600).error().code, peer::kDiskFull);
    Rng rng(1);
    MemoryDisk next = disk.crash(rng);
    EXPECT_EQ(contents(next, "d/a"), "old");
    EXPECT_EQ(next.create("d/b", 0600).error().code, peer::kDiskFull);
    next.set_full(false);
    put(next, "d/b", "new");
    EXPECT_EQ(contents(next, "d/b"), "new");
}

TEST(MemoryDisk, AReadOnlyDiskIsReadAndChangesNothing) {
    MemoryDisk disk;
    put(disk, "d/a", "old");
    auto open = disk.create("d/b", 0600);
    disk.set_read_only(true);
    EXPECT_EQ((*open)->append(as_byte_view("x")).error().code, FaultCode::Io);
    EXPECT_EQ(disk.create("d/c", 0600).error().code, FaultCode::Io);
    EXPECT_EQ(disk.rename("d/a", "d/c").error().code, FaultCode::Io);
    EXPECT_EQ(disk.overwrite("d/a", as_byte_view("new")).error().code, FaultCode::Io);
    disk.remove("d/a");
    EXPECT_EQ(contents(disk, "d/a"), "old");
    disk.set_read_only(false);
    EXPECT_TRUE((*open)->append(as_byte_view("x")).has_value());
}

TEST(MemoryDisk, AByteOfAFileIsDamaged) {
    MemoryDisk disk;
    put(disk, "d/a", "whole");
    ASSERT_TRUE(disk.corrupt("d/a").has_value());
    const auto found = contents(disk, "d/a");
    EXPECT_NE(found, "whole");
    EXPECT_EQ(found.substr(0, 2) + found.substr(3), "whle");
    EXPECT_EQ(disk.corrupt("d/none").error().code, FaultCode::NotFound);
    put(disk, "d/empty", "");
    EXPECT_EQ(disk.corrupt("d/empty").error().code, FaultCode::NotFound);
}

}  // namespace
}  // namespace starling::peer_virtual
