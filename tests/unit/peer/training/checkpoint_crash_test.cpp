// Goal: whenever the power fails, a restarted peer finds a checkpoint that was written whole: the
// last one that was completed, the one in progress, or none if none was completed. A full disk never
// costs the newest one. Method: a disk in memory loses its power, or becomes full, after each single
// change of a sequence of checkpoints; each disk that the next life may find is read. Also random
// losses over many lives.

#include <functional>
#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "peer/machine/files.hpp"
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
std::uint64_t write_numbers(
    MemoryDisk& disk, std::uint64_t first, std::uint64_t count, std::size_t keep = 2
) {
    for (std::uint64_t done = 0; done < count; ++done) {
        const auto written =
            write_checkpoint(disk, kDirectory, numbered(first + done), NewestFile::Unknown, keep);
        if (!written) return done;
    }
    return count;
}

/// Lets the power fail after each change of `writes`, which returns how many checkpoints it has
/// written on top of the `before` that are there. Every disk that the next life may find must have
/// the newest checkpoint, or the one that was being written. Returns how many changes there are.
template <class Writes>
std::uint64_t crash_everywhere(
    const std::function<MemoryDisk()>& prepared, std::uint64_t before, Writes writes
) {
    for (std::uint64_t changes = 0;; ++changes) {
        MemoryDisk disk = prepared();
        disk.lose_power_after(changes);
        const auto newest = before + writes(disk);
        const bool complete = disk.has_power();
        for (MemoryDisk& next : disk.crashes()) {
            const auto found = read_number(next);
            EXPECT_TRUE(found == newest || (!complete && found == newest + 1))
                << found << " where " << newest << " is the newest, after " << changes
                << " changes";
        }
        if (complete || ::testing::Test::HasFailure()) return changes;
    }
}

TEST(CheckpointCrash, AfterEachSingleChangeTheLastWholeOneIsFound) {
    constexpr std::uint64_t kWrites = 4;
    for (const bool links : {true, false}) {
        const auto prepared = [links] {
            MemoryDisk disk;
            if (!links) disk.refuse_links();
            return disk;
        };
        const auto changes = crash_everywhere(prepared, 0, [](MemoryDisk& disk) {
            return write_numbers(disk, 1, kWrites);
        });
        EXPECT_GT(changes, kWrites * 10) << "a write consists of more changes than that";
    }
}

/// A program that reads a checkpoint while a peer writes one, and a peer that is killed, see the
/// names as they are. Without second names there is a moment between two renames.
TEST(CheckpointCrash, ANewestFileIsThereAtEachMoment) {
    for (std::uint64_t changes = 0; changes < 100; ++changes) {
        MemoryDisk disk;
        ASSERT_EQ(write_numbers(disk, 1, 2), 2U);
        disk.lose_power_after(changes);
        (void)write_numbers(disk, 3, 3);
        disk.lose_power_after(~std::uint64_t{0});
        ASSERT_TRUE(disk.exists("state/checkpoint")) << changes;
        ASSERT_GE(read_number(disk), 2U) << changes;
    }
}

TEST(CheckpointCrash, WithAnyNumberOfFilesTheLastWholeOneIsFound) {
    for (const std::size_t keep : {1U, 3U, 4U}) {
        const auto prepared = [keep] {
            MemoryDisk disk;
            EXPECT_EQ(write_numbers(disk, 1, 3, keep), 3U);
            return disk;
        };
        const auto changes = crash_everywhere(prepared, 3, [keep](MemoryDisk& disk) {
            return write_numbers(disk, 4, 2, keep);
        });
        EXPECT_GT(changes, 10U);
    }
}

/// Removes the newest files one after the other, and returns what is read each time.
std::vector<std::uint64_t> kept_numbers(MemoryDisk& disk) {
    std::vector<std::uint64_t> numbers;
    while (const auto number = read_number(disk)) {
        numbers.push_back(number);
        for (const std::string name : {"", ".prev", ".prev2", ".prev3", ".prev4"}) {
            const auto path = "state/checkpoint" + name;
            if (!disk.exists(path)) continue;
            disk.remove(path);
            break;
        }
    }
    return numbers;
}

TEST(CheckpointCrash, AsManyAreKeptAsAreAskedFor) {
    for (const std::size_t keep : {1U, 2U, 3U, 5U}) {
        MemoryDisk disk;
        ASSERT_EQ(write_numbers(disk, 1, 7, keep), 7U);
        std::vector<std::uint64_t> expected;
        for (std::uint64_t i = 0; i < keep; ++i) expected.push_back(7 - i);
        EXPECT_EQ(kept_numbers(disk), expected);
    }
    MemoryDisk fewer;
    ASSERT_EQ(write_numbers(fewer, 1, 7, 5), 7U);
    ASSERT_EQ(write_numbers(fewer, 8, 1, 2), 1U);
    EXPECT_EQ(kept_numbers(fewer), (std::vector<std::uint64_t>{8, 7}));
}

TEST(CheckpointCrash, OfManyDamagedFilesTheNewestSoundOneServes) {
    MemoryDisk disk;
    ASSERT_EQ(write_numbers(disk, 1, 4, 4), 4U);
    for (const std::string name : {"checkpoint", "checkpoint.prev"}) {
        auto file = disk.create("state/" + name, 0600);
        ASSERT_TRUE(file.has_value());
        ASSERT_TRUE((*file)->append(Bytes(100)).has_value());
    }
    const auto read = read_checkpoint(disk, kDirectory);
    ASSERT_TRUE(read.has_value());
    EXPECT_EQ(read->steps, 2U);
    EXPECT_TRUE(read->damage.has_value());
    ASSERT_EQ(write_numbers(disk, 9, 1, 4), 1U);
    EXPECT_EQ(read_number(disk), 9U);
}

TEST(CheckpointCrash, AFullDiskGivesUpTheOldestFirst) {
    MemoryDisk sized;
    EXPECT_EQ(write_numbers(sized, 1, 1), 1U);
    const auto one = (*sized.open("state/checkpoint", 1000))->size();
    MemoryDisk disk;
    disk.set_capacity(3 * one);
    ASSERT_EQ(write_numbers(disk, 1, 9, 5), 9U);
    EXPECT_EQ(kept_numbers(disk), (std::vector<std::uint64_t>{9, 8, 7}));
}

TEST(CheckpointCrash, AFileWithoutANewerOneIsNotCalledDamaged) {
    MemoryDisk disk;
    ASSERT_EQ(write_numbers(disk, 1, 2), 2U);
    disk.remove("state/checkpoint");
    const auto read = read_checkpoint(disk, kDirectory);
    ASSERT_TRUE(read.has_value()) << read.error().message;
    EXPECT_EQ(read->steps, 1U);
    EXPECT_FALSE(read->damage.has_value());
}

/// Makes a disk with the checkpoints 1 and 2, of which the newest is damaged.
MemoryDisk with_damaged_newest() {
    MemoryDisk disk;
    EXPECT_EQ(write_numbers(disk, 1, 2), 2U);
    EXPECT_TRUE(
        write_file_atomically(disk, "state/checkpoint", as_byte_view("torn"), 0600).has_value()
    );
    return disk;
}

TEST(CheckpointCrash, ADamagedFileNeverReplacesASoundOne) {
    const auto changes = crash_everywhere(with_damaged_newest, 1, [](MemoryDisk& disk) {
        return write_checkpoint(disk, kDirectory, numbered(2)).has_value() ? 1U : 0U;
    });
    EXPECT_GT(changes, 10U);
    MemoryDisk disk = with_damaged_newest();
    ASSERT_TRUE(write_checkpoint(disk, kDirectory, numbered(3)).has_value());
    disk.remove("state/checkpoint");
    EXPECT_EQ(read_number(disk), 1U) << "the sound one is still the one before";
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

/// About what one checkpoint takes.
std::uint64_t size_of_one() {
    MemoryDisk disk;
    EXPECT_EQ(write_numbers(disk, 1, 1), 1U);
    return (*disk.open("state/checkpoint", 1000))->size();
}

TEST(CheckpointCrash, AFullDiskNeverCostsTheNewest) {
    const auto one = size_of_one();
    Rng rng(1);
    for (std::uint64_t capacity = 0; capacity < 2 * one; capacity += 7) {
        MemoryDisk disk;
        ASSERT_EQ(write_numbers(disk, 1, 2), 2U);
        disk.set_capacity(capacity);
        const auto written = write_checkpoint(disk, kDirectory, numbered(3));
        ASSERT_FALSE(written.has_value());
        EXPECT_EQ(written.error().code, kDiskFull);
        EXPECT_FALSE(disk.exists("state/checkpoint.tmp")) << "the part that was written is removed";
        EXPECT_EQ(read_number(disk), 2U);
        MemoryDisk next = disk.crash(rng);
        EXPECT_EQ(read_number(next), 2U);
        disk.set_capacity(2 * one);
        EXPECT_TRUE(write_checkpoint(disk, kDirectory, numbered(3)).has_value());
        EXPECT_EQ(read_number(disk), 3U);
    }
}

TEST(CheckpointCrash, ADiskWithRoomForTwoIsWrittenAgainAndAgain) {
    const auto one = size_of_one();
    const auto prepared = [one] {
        MemoryDisk disk;
        disk.set_capacity(2 * one);
        EXPECT_EQ(write_numbers(disk, 1, 2), 2U);
        return disk;
    };
    const auto changes =
        crash_everywhere(prepared, 2, [](MemoryDisk& disk) { return write_numbers(disk, 3, 3); });
    EXPECT_GT(changes, 30U);
    MemoryDisk disk = prepared();
    EXPECT_EQ(write_numbers(disk, 3, 5), 5U);
    EXPECT_EQ(read_number(disk), 7U);
    disk.set_capacity(3 * one);
    EXPECT_EQ(write_numbers(disk, 8, 2), 2U);
    EXPECT_TRUE(disk.exists("state/checkpoint.prev")) << "with room the older one is kept again";
}

TEST(CheckpointCrash, WithRoomForTwoADamagedFileGoesAndTheSoundOneStays) {
    const auto one = size_of_one();
    const auto prepared = [one] {
        MemoryDisk disk = with_damaged_newest();
        disk.set_capacity(2 * one);
        return disk;
    };
    (void)crash_everywhere(prepared, 1, [](MemoryDisk& disk) {
        return write_checkpoint(disk, kDirectory, numbered(2)).has_value() ? 1U : 0U;
    });
    MemoryDisk disk = prepared();
    EXPECT_TRUE(write_checkpoint(disk, kDirectory, numbered(2)).has_value());
}

TEST(CheckpointCrash, ADiskThatFillsUpAtAnyChangeHasTheLastWholeOne) {
    constexpr std::uint64_t kWrites = 4;
    std::uint64_t changes = 0;
    for (bool complete = false; !complete; ++changes) {
        MemoryDisk disk;
        disk.fill_up_after(changes);
        const auto written = write_numbers(disk, 1, kWrites);
        complete = written == kWrites;
        EXPECT_EQ(read_number(disk), written) << changes;
        EXPECT_FALSE(disk.exists("state/checkpoint.tmp")) << changes;
        for (MemoryDisk& next : disk.crashes()) EXPECT_EQ(read_number(next), written) << changes;
    }
    EXPECT_GT(changes, kWrites * 10);
}

}  // namespace
}  // namespace starling::peer
