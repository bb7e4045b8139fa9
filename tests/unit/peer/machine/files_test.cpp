// Goal: state files are replaced whole or not at all and read with a limit, and one directory
// serves one peer. Method: real files in a temporary directory.

#include "peer/machine/files.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/support/temporary_directory.hpp"

namespace starling::peer {
namespace {

namespace fs = std::filesystem;

class Files : public ::testing::Test {
protected:
    [[nodiscard]] std::string contents(const fs::path& path) const {
        const auto bytes = read_file(path, 1000);
        return bytes ? std::string(as_text(*bytes)) : "(" + bytes.error().message + ")";
    }

    [[nodiscard]] std::size_t entries() const {
        return static_cast<std::size_t>(
            std::distance(fs::directory_iterator(directory_.path()), fs::directory_iterator())
        );
    }

    starling::testing::TemporaryDirectory directory_;
    fs::path path_ = directory_.path() / "file";
};

TEST_F(Files, WhatIsWrittenIsReadWithItsMode) {
    ASSERT_TRUE(write_file_atomically(path_, as_byte_view("one"), 0600).has_value());
    EXPECT_EQ(contents(path_), "one");
    ASSERT_TRUE(write_file_atomically(path_, as_byte_view(""), 0600).has_value());
    EXPECT_EQ(contents(path_), "");

    struct stat status {};

    ASSERT_EQ(::stat(path_.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0600U);
    EXPECT_EQ(entries(), 1U);
}

TEST_F(Files, TheLimitIsInclusive) {
    ASSERT_TRUE(write_file_atomically(path_, as_byte_view("12345"), 0600).has_value());
    EXPECT_TRUE(read_file(path_, 5).has_value());
    EXPECT_EQ(read_file(path_, 4).error().code, FaultCode::Oversized);
}

TEST_F(Files, WhatIsNotARegularFileIsNamed) {
    EXPECT_EQ(read_file(path_, 5).error().code, FaultCode::NotFound);
    EXPECT_EQ(read_file(directory_.path(), 5).error().code, FaultCode::Io);
    ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
    const auto pipe = read_file(path_, 5);
    ASSERT_FALSE(pipe.has_value());
    EXPECT_EQ(pipe.error().message, path_.string() + ": not a regular file");
}

TEST_F(Files, AnUncommittedFileVanishesAndLeavesTheOldContents) {
    ASSERT_TRUE(write_file_atomically(path_, as_byte_view("old"), 0600).has_value());
    {
        auto file = AtomicFile::create(real_disk(), path_, 0600);
        ASSERT_TRUE(file.has_value());
        ASSERT_TRUE(file->append(as_byte_view("new")).has_value());
        EXPECT_EQ(contents(path_), "old");
    }
    EXPECT_EQ(contents(path_), "old");
    EXPECT_EQ(entries(), 1U);
}

TEST_F(Files, ALeftoverOfACrashIsReplacedAndNotFollowed) {
    const auto victim = directory_.path() / "victim";
    ASSERT_TRUE(write_file_atomically(victim, as_byte_view("precious"), 0600).has_value());
    fs::create_symlink(victim, directory_.path() / "file.tmp");
    ASSERT_TRUE(write_file_atomically(path_, as_byte_view("new"), 0600).has_value());
    EXPECT_EQ(contents(path_), "new");
    EXPECT_EQ(contents(victim), "precious");
}

TEST_F(Files, CommitKeepsThePreviousContentsUnderTheirName) {
    const auto previous = directory_.path() / "file.prev";
    for (const std::string_view text : {"one", "two", "three"}) {
        auto file = AtomicFile::create(real_disk(), path_, 0600);
        ASSERT_TRUE(file.has_value());
        ASSERT_TRUE(file->append(as_byte_view(text)).has_value());
        ASSERT_TRUE(file->commit(previous).has_value());
    }
    EXPECT_EQ(contents(path_), "three");
    EXPECT_EQ(contents(previous), "two");
}

TEST_F(Files, ASecondNameIsOneOfTheSameFile) {
    const auto previous = directory_.path() / "file.prev";
    ASSERT_TRUE(write_file_atomically(path_, as_byte_view("one"), 0600).has_value());
    const auto inode = [](const fs::path& path) {
        struct stat status {};

        EXPECT_EQ(::stat(path.c_str(), &status), 0);
        return status.st_ino;
    };
    const auto before = inode(path_);
    ASSERT_TRUE(real_disk().link(path_, previous).has_value());
    EXPECT_EQ(inode(previous), before);
    EXPECT_EQ(real_disk().link(path_, previous).error().code, FaultCode::Io);
    EXPECT_EQ(
        real_disk().link(directory_.path() / "no", previous).error().code, FaultCode::NotFound
    );
}

TEST_F(Files, AnOverwriteStaysInItsPlace) {
    ASSERT_TRUE(write_file_atomically(path_, as_byte_view("0007"), 0600).has_value());
    ASSERT_TRUE(real_disk().overwrite(path_, as_byte_view("0008")).has_value());
    EXPECT_EQ(contents(path_), "0008");
    EXPECT_EQ(entries(), 1U);
    EXPECT_EQ(
        real_disk().overwrite(directory_.path() / "no", as_byte_view("x")).error().code,
        FaultCode::NotFound
    );
}

TEST_F(Files, DirectoriesAreMadeWithThoseAboveThem) {
    const auto deep = directory_.path() / "a" / "b" / "c";
    ASSERT_TRUE(make_directories(real_disk(), deep / "", 0700).has_value());
    EXPECT_EQ(fs::status(deep).permissions(), fs::perms::owner_all);
    EXPECT_TRUE(make_directories(real_disk(), deep, 0700).has_value()) << "they are there";
    ASSERT_TRUE(write_file_atomically(path_, as_byte_view("x"), 0600).has_value());
    EXPECT_EQ(make_directories(real_disk(), path_ / "d", 0700).error().code, FaultCode::Io);
}

TEST_F(Files, WhatIsNoDirectoryHasAnEmptyList) {
    ASSERT_TRUE(write_file_atomically(path_, as_byte_view("x"), 0600).has_value());
    EXPECT_EQ(real_disk().list(directory_.path()), std::vector<fs::path>{path_});
    for (const auto& none : {path_, directory_.path() / "no", fs::path("/proc/self/mem/x")}) {
        EXPECT_NO_THROW(EXPECT_TRUE(real_disk().list(none).empty())) << none;
    }
}

TEST_F(Files, AMissingDirectoryIsOneLine) {
    const auto written =
        write_file_atomically(directory_.path() / "no" / "file", as_byte_view("x"), 0600);
    ASSERT_FALSE(written.has_value());
    EXPECT_EQ(written.error().code, FaultCode::Io);
    EXPECT_EQ(written.error().message.find('\n'), std::string::npos);
}

TEST_F(Files, AStateDirectoryServesOnePeerAtATime) {
    const auto state = directory_.path() / "deep" / "state";
    {
        const auto lock = lock_state_directory(state);
        ASSERT_TRUE(lock.has_value()) << lock.error().message;

        struct stat status {};

        ASSERT_EQ(::stat(state.c_str(), &status), 0);
        EXPECT_EQ(status.st_mode & 0777U, 0700U);
        const auto second = lock_state_directory(state);
        ASSERT_FALSE(second.has_value());
        EXPECT_EQ(second.error().code, FaultCode::AddressInUse);
        EXPECT_NE(second.error().message.find(state.string()), std::string::npos);
    }
    EXPECT_TRUE(lock_state_directory(state).has_value());
    ASSERT_TRUE(write_file_atomically(path_, as_byte_view("x"), 0600).has_value());
    EXPECT_EQ(lock_state_directory(path_).error().code, FaultCode::Io);
}

}  // namespace
}  // namespace starling::peer
