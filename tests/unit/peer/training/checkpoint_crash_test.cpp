// Goal: whenever the power fails, a restarted peer finds a checkpoint that was written whole: the
// last one that was completed, the one in progress, or none if none was completed. A full disk costs
// nothing that was there. Method: a disk in memory loses its power after each single change of a
// sequence of checkpoints, under many seeds, also over many lives.

#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "peer/training/checkpoint.hpp"
#include "peer/virtual/memory_disk.hpp"

namespace starling::peer {
namespace {

using peer_virtual::MemoryDisk;

constexpr const char* kDirectory = "state";
constexpr std::uint64_t kSeeds = 40;

/// The checkpoint with this number. All its contents follow from the number.
Checkpoint numbered(std::uint64_t number) {
    Checkpoint checkpoint;
    checkpoint.descriptor.resize(20, static_cast<std::byte>(number));
    checkpoint.parameters.resize(30, static_cast<float>(number));
    checkpoint.optimizer_state.resize(10, static_cast<float>(number));
    checkpoint.steps = number;
    checkpoint.addresses = {"127.0.0.1:" + std::to_string(number)};
    return checkpoint;
}

/// Returns the number of the checkpoint that a restarted peer reads, or 0 if it finds no file.
std::uint64_t read_number(MemoryDisk& disk) {
    const auto read = read_checkpoint(disk, kDirectory);
    if (!read) {
        EXPECT_EQ(read.error().code, FaultCode::NotFound) << read.error().message;
        return 0;
    }
    const Checkpoint expected = numbered(read->steps);
    EXPECT_EQ(read->descriptor, expected.descriptor);
    EXPECT_EQ(read->parameters, expected.parameters);
    EXPECT_EQ(read->optimizer_state, expected.optimizer_state);
    EXPECT_EQ(read->addresses, expected.addresses);
    return read->steps;
}

/// Writes checkpoints first, first + 1, ... until one fails or `count` are written. Returns how many
/// were written.
std::uint64_t write_numbers(MemoryDisk& disk, std::uint64_t first, std::uint64_t count) {
    for (std::uint64_t done = 0; done < count; ++done) {
        if (!write_checkpoint(disk, kDirectory, numbered(first + done))) return done;
    }
    return count;
}

TEST(CheckpointCrash, AfterEachSingleChangeTheLastWholeOneIsFound) {
    constexpr std::uint64_t kWrites = 4;
    std::uint64_t changes = 0;
    for (bool complete = false; !complete; ++changes) {
        MemoryDisk disk;
        disk.lose_power_after(changes);
        const auto written = write_numbers(disk, 1, kWrites);
        complete = written == kWrites;
        for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
            Rng rng(seed);
            MemoryDisk next = disk.crash(rng);
            const auto found = read_number(next);
            ASSERT_TRUE(found == written || (!complete && found == written + 1))
                << found << " after " << written << " whole ones and " << changes
                << " changes, seed " << seed;
        }
    }
    EXPECT_GT(changes, kWrites * 10) << "a write consists of more changes than that";
}

TEST(CheckpointCrash, OverManyLivesNothingThatWasCompletedIsLost) {
    for (std::uint64_t seed = 0; seed < 10 * kSeeds; ++seed) {
        Rng rng(seed);
        MemoryDisk disk;
        std::uint64_t last = 0;
        for (int life = 0; life < 20; ++life) {
            disk.lose_power_after(rng.below(50));
            const auto written = write_numbers(disk, last + 1, 10);
            disk = disk.crash(rng);
            const auto found = read_number(disk);
            ASSERT_TRUE(found == last + written || found == last + written + 1)
                << found << " after " << last + written << ", seed " << seed << ", life " << life;
            last = found;
        }
    }
}

TEST(CheckpointCrash, AFullDiskLeavesTheOldOnesIntact) {
    MemoryDisk disk;
    ASSERT_EQ(write_numbers(disk, 1, 2), 2U);
    const auto before = disk.files();
    Rng rng(1);
    // Each checkpoint has about 400 bytes, so the third one fits nowhere below 1,200.
    for (std::uint64_t capacity = 0; capacity < 1000; capacity += 7) {
        disk.set_capacity(capacity);
        const auto written = write_checkpoint(disk, kDirectory, numbered(3));
        ASSERT_FALSE(written.has_value());
        EXPECT_EQ(written.error().code, FaultCode::Io);
        EXPECT_EQ(disk.files(), before) << "the part that was written is removed";
        EXPECT_EQ(read_number(disk), 2U);
        MemoryDisk next = disk.crash(rng);
        EXPECT_EQ(read_number(next), 2U);
    }
    disk.set_capacity(100'000);
    EXPECT_TRUE(write_checkpoint(disk, kDirectory, numbered(3)).has_value());
    EXPECT_EQ(read_number(disk), 3U);
}

}  // namespace
}  // namespace starling::peer
