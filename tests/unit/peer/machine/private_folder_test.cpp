// Goal: what was open to other users is closed, nothing else changes, and what cannot be closed is refused.
// Method: folders of the test's own, with modes that it sets.

#include "peer/machine/private_folder.hpp"

#include <fstream>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/support/temporary_directory.hpp"

namespace starling::peer {
namespace {

namespace fs = std::filesystem;

class PrivateFolders : public ::testing::Test {
protected:
    fs::path file(const fs::path& name, unsigned mode) const {
        const auto path = directory_.path() / name;
        fs::create_directories(path.parent_path());
        std::ofstream(path) << "x";
        EXPECT_EQ(::chmod(path.c_str(), mode), 0);
        return path;
    }

    static unsigned mode_of(const fs::path& path) {
        struct stat facts {};

        EXPECT_EQ(::stat(path.c_str(), &facts), 0);
        return facts.st_mode & 07777U;
    }

    starling::testing::TemporaryDirectory directory_;
    const PrivateFolderOptions options_{.untouched = {"key"}, .folders = {"shards"}};
};

TEST_F(PrivateFolders, ClosesTheFolderItsFilesAndTheFoldersThatAreNamed) {
    const auto lock = file("lock", 0644);
    const auto mine = file("mine", 0600);
    const auto key = file("key", 0640);
    const auto shard = file("shards/00ff", 0666);
    const auto deep = file("other/deep", 0644);
    ASSERT_EQ(::chmod((directory_.path() / "shards").c_str(), 0755), 0);
    ASSERT_EQ(::chmod((directory_.path() / "other").c_str(), 0755), 0);
    ASSERT_EQ(::chmod(directory_.path().c_str(), 0775), 0);
    const auto changed = close_to_others(directory_.path(), options_);
    ASSERT_TRUE(changed.has_value()) << changed.error().message;
    EXPECT_TRUE(*changed);
    EXPECT_EQ(mode_of(directory_.path()), 0700U);
    EXPECT_EQ(mode_of(lock), 0600U);
    EXPECT_EQ(mode_of(mine), 0600U);
    EXPECT_EQ(mode_of(directory_.path() / "shards"), 0700U);
    EXPECT_EQ(mode_of(shard), 0600U);
    EXPECT_EQ(mode_of(directory_.path() / "other"), 0700U);
    EXPECT_EQ(mode_of(deep), 0644U) << "its folder is closed, and what it is for we do not know";
    EXPECT_EQ(mode_of(key), 0640U);
    EXPECT_FALSE(*close_to_others(directory_.path(), options_)) << "nothing is left to close";
}

TEST_F(PrivateFolders, FollowsNoLinkToAFileElsewhere) {
    const auto elsewhere = file("elsewhere/public", 0644);
    const auto state = directory_.path() / "state";
    fs::create_directory(state);
    fs::create_symlink(elsewhere, state / "link");
    ASSERT_TRUE(close_to_others(state, options_).has_value());
    EXPECT_EQ(mode_of(elsewhere), 0644U);
}

TEST_F(PrivateFolders, RefusesAFolderThatAllUsersShare) {
    ASSERT_EQ(::chmod(directory_.path().c_str(), 01777), 0);
    const auto closed = close_to_others(directory_.path(), options_);
    ASSERT_TRUE(closed.has_error());
    EXPECT_EQ(closed.error().code, FaultCode::Usage);
    EXPECT_NE(closed.error().message.find("--state"), std::string::npos);
    EXPECT_EQ(mode_of(directory_.path()), 01777U);
}

TEST_F(PrivateFolders, ThatIsNotThereIsAFault) {
    EXPECT_TRUE(close_to_others(directory_.path() / "none", options_).has_error());
}

}  // namespace
}  // namespace starling::peer
