// Goal: a checkpoint is read back as it was written, and no damage to the newest file costs more
// than the work since the previous one. Method: round trips, every truncation, every flipped byte,
// and forged headers with a right checksum.

#include "peer/training/checkpoint.hpp"

#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "peer/crypto/sha256.hpp"
#include "peer/machine/files.hpp"
#include "tests/support/temporary_directory.hpp"

namespace starling::peer {
namespace {

namespace fs = std::filesystem;

Checkpoint example(std::uint64_t seed) {
    Rng rng(seed);
    Checkpoint checkpoint;
    for (int i = 0; i < 30; ++i) {
        checkpoint.descriptor.push_back(static_cast<std::byte>(rng.below(256)));
    }
    for (int i = 0; i < 17; ++i) checkpoint.parameters.push_back(static_cast<float>(rng.normal()));
    for (int i = 0; i < 9; ++i) {
        checkpoint.optimizer_state.push_back(static_cast<float>(rng.normal()));
    }
    checkpoint.position.epoch = rng.next();
    checkpoint.position.next = rng.next();
    checkpoint.position.seed = rng.next();
    checkpoint.samples = rng.next();
    checkpoint.steps = rng.next();
    checkpoint.schedule_step = rng.next();
    checkpoint.learned = 1 + rng.below(1U << 30U);
    checkpoint.addresses = {"127.0.0.1:4000", "[2001:db8::7]:65535"};
    return checkpoint;
}

bool equal(const Checkpoint& a, const Checkpoint& b) {
    return a.descriptor == b.descriptor && a.parameters == b.parameters &&
           a.optimizer_state == b.optimizer_state && a.position.epoch == b.position.epoch &&
           a.position.next == b.position.next && a.position.seed == b.position.seed &&
           a.samples == b.samples && a.steps == b.steps && a.schedule_step == b.schedule_step &&
           a.learned == b.learned && a.addresses == b.addresses;
}

class Checkpoints : public ::testing::Test {
protected:
    [[nodiscard]] const fs::path& path() const { return directory_.path(); }

    void store(std::uint64_t seed) {
        const auto written = write_checkpoint(real_disk(), path(), example(seed));
        ASSERT_TRUE(written.has_value()) << written.error().message;
    }

    [[nodiscard]] Bytes newest() const { return *read_file(path() / "checkpoint", 1U << 20U); }

    void replace_newest(ByteView bytes) {
        starling::testing::write_quickly(path() / "checkpoint", bytes);
    }

    /// Writes contents with a right checksum, so that only the contents can be wrong.
    void forge_newest(Bytes contents) {
        const Digest digest = sha256(contents);
        ByteWriter(contents).put_array(digest);
        replace_newest(contents);
    }

    void expect_fault(FaultCode code) {
        const auto read = read_checkpoint(real_disk(), path());
        ASSERT_FALSE(read.has_value());
        EXPECT_EQ(to_string(read.error().code), to_string(code)) << read.error().message;
        EXPECT_EQ(read.error().message.find('\n'), std::string::npos);
    }

    starling::testing::TemporaryDirectory directory_;
};

TEST_F(Checkpoints, WhatIsWrittenComesBack) {
    store(1);
    const auto read = read_checkpoint(real_disk(), path());
    ASSERT_TRUE(read.has_value()) << read.error().message;
    EXPECT_TRUE(equal(*read, example(1)));
    EXPECT_FALSE(read->damage.has_value());
    ASSERT_TRUE(write_checkpoint(real_disk(), path(), Checkpoint{}).has_value());
    EXPECT_TRUE(equal(*read_checkpoint(real_disk(), path()), Checkpoint{}));
}

TEST_F(Checkpoints, AFileOfAnOlderReleaseHasNoSeedOfTheShuffleAndNotWhatWasLearned) {
    auto old = example(1);
    old.position.seed.reset();
    old.learned = 0;
    ASSERT_TRUE(write_checkpoint(real_disk(), path(), old).has_value());
    const auto read = read_checkpoint(real_disk(), path());
    ASSERT_TRUE(read.has_value()) << read.error().message;
    EXPECT_TRUE(equal(*read, old));
}

TEST_F(Checkpoints, AnEmptyOrMissingDirectoryHasNone) {
    expect_fault(FaultCode::NotFound);
    EXPECT_EQ(read_checkpoint(real_disk(), path() / "absent").error().code, FaultCode::NotFound);
    EXPECT_EQ(
        write_checkpoint(real_disk(), path() / "absent", example(1)).error().code, FaultCode::Io
    );
}

TEST_F(Checkpoints, EveryTruncationIsRefusedAndFallsBack) {
    store(1);
    const Bytes alone = newest();
    for (std::size_t length = 0; length < alone.size(); ++length) {
        replace_newest(ByteView(alone).first(length));
        const auto read = read_checkpoint(real_disk(), path());
        ASSERT_FALSE(read.has_value()) << length;
        ASSERT_EQ(read.error().message.find('\n'), std::string::npos);
    }
    replace_newest(alone);
    store(2);
    const Bytes second = newest();
    for (std::size_t length = 0; length < second.size(); ++length) {
        replace_newest(ByteView(second).first(length));
        const auto read = read_checkpoint(real_disk(), path());
        ASSERT_TRUE(read.has_value()) << length << ": " << read.error().message;
        ASSERT_TRUE(equal(*read, example(1)));
        ASSERT_TRUE(read->damage.has_value());
    }
}

TEST_F(Checkpoints, EveryFlippedByteIsNoticed) {
    store(1);
    const Bytes good = newest();
    for (std::size_t at = 0; at < good.size(); ++at) {
        Bytes bad = good;
        bad[at] ^= std::byte{0x40};
        replace_newest(bad);
        ASSERT_FALSE(read_checkpoint(real_disk(), path()).has_value()) << at;
    }
    Bytes longer = good;
    longer.push_back(std::byte{0});
    replace_newest(longer);
    EXPECT_FALSE(read_checkpoint(real_disk(), path()).has_value());
}

TEST_F(Checkpoints, ACrashBetweenTheTwoRenamesLosesNothing) {
    store(1);
    store(2);
    fs::remove(path() / "checkpoint");
    const auto read = read_checkpoint(real_disk(), path());
    ASSERT_TRUE(read.has_value()) << read.error().message;
    EXPECT_TRUE(equal(*read, example(1)));
}

TEST_F(Checkpoints, WhenBothAreDamagedTheNewestsFaultIsReported) {
    store(1);
    store(2);
    replace_newest(as_byte_view("short"));
    ASSERT_TRUE(write_file_atomically(path() / "checkpoint.prev", Bytes(100), 0600).has_value());
    expect_fault(FaultCode::Truncated);
    fs::remove(path() / "checkpoint");
    expect_fault(FaultCode::BadFormat);
}

TEST_F(Checkpoints, WhatIsDamagedSaysHowToStartWithoutIt) {
    store(1);
    replace_newest(as_byte_view("short"));
    const auto read = read_checkpoint(real_disk(), path());
    ASSERT_FALSE(read.has_value());
    EXPECT_NE(read.error().message.find("move it away to start without"), std::string::npos);
}

TEST_F(Checkpoints, LengthsAreCheckedBeforeAllocation) {
    const auto magic = as_byte_view("STARCKPT");
    Bytes contents(magic.begin(), magic.end());
    ByteWriter(contents).put(std::uint32_t{1});
    const auto forge = [&](std::uint32_t kind, std::uint64_t length, std::size_t given) {
        Bytes bytes = contents;
        ByteWriter section(bytes);
        section.put(kind);
        section.put(length);
        bytes.resize(bytes.size() + given);
        forge_newest(bytes);
    };
    forge(2, std::uint64_t{1} << 40U, 8);
    expect_fault(FaultCode::Truncated);
    forge(2, ~std::uint64_t{0}, 8);
    expect_fault(FaultCode::Truncated);
    forge(2, 6, 6);
    expect_fault(FaultCode::BadValue);
    forge(4, 8, 8);
    expect_fault(FaultCode::BadValue);
    forge(5, 17, 17);
    expect_fault(FaultCode::BadValue);
    forge(5, 2 * 2000, 2 * 2000);
    expect_fault(FaultCode::BadValue);
    forge(5, 302 * 1024 + 1, 302 * 1024 + 1);
    expect_fault(FaultCode::Oversized);
    forge(1, (16U << 20U) + 1, (16U << 20U) + 1);
    expect_fault(FaultCode::Oversized);
    forge(3, 4, 4);
    expect_fault(FaultCode::BadFormat);
}

TEST_F(Checkpoints, UnknownSectionsAreSkippedAndDoubleOnesRefused) {
    store(1);
    Bytes contents = newest();
    contents.resize(contents.size() - sizeof(Digest));
    Bytes more = contents;
    ByteWriter writer(more);
    writer.put(std::uint32_t{77});
    writer.put(std::uint64_t{100000});
    more.resize(more.size() + 100000);
    forge_newest(more);
    const auto read = read_checkpoint(real_disk(), path());
    ASSERT_TRUE(read.has_value()) << read.error().message;
    EXPECT_TRUE(equal(*read, example(1)));
    ByteWriter twice(contents);
    twice.put(std::uint32_t{4});
    twice.put(std::uint64_t{40});
    contents.resize(contents.size() + 40);
    forge_newest(contents);
    expect_fault(FaultCode::BadFormat);
}

TEST_F(Checkpoints, AnotherVersionIsRefusedWithASentence) {
    store(1);
    Bytes contents = newest();
    contents.resize(contents.size() - sizeof(Digest));
    contents[8] = std::byte{9};
    forge_newest(contents);
    expect_fault(FaultCode::BadVersion);
}

TEST_F(Checkpoints, OnlyTheFirstThousandAddressesAreKept) {
    Checkpoint checkpoint = example(1);
    for (std::uint16_t port = 1; port < 3000; ++port) {
        checkpoint.addresses.push_back("10.0.0.1:" + std::to_string(port));
    }
    ASSERT_TRUE(write_checkpoint(real_disk(), path(), checkpoint).has_value());
    checkpoint.addresses.insert(checkpoint.addresses.begin(), std::string(301, 'h'));
    ASSERT_TRUE(write_checkpoint(real_disk(), path(), checkpoint).has_value());
    const auto read = read_checkpoint(real_disk(), path());
    ASSERT_TRUE(read.has_value()) << read.error().message;
    EXPECT_EQ(read->addresses.size(), kCheckpointAddressesMax);
    EXPECT_EQ(read->addresses[0], checkpoint.addresses[1]) << "an overlong one is left out";
}

TEST_F(Checkpoints, AnOversizedDescriptorIsRefusedAndLeavesTheOldOne) {
    store(1);
    Checkpoint checkpoint = example(2);
    checkpoint.descriptor.resize(kCheckpointDescriptorMax + 1);
    EXPECT_EQ(write_checkpoint(real_disk(), path(), checkpoint).error().code, FaultCode::Oversized);
    EXPECT_TRUE(equal(*read_checkpoint(real_disk(), path()), example(1)));
}

}  // namespace
}  // namespace starling::peer
