// Goal: a card that one process computes on is not another's, until the first gives it back or is gone,
// in whatever way. Method: two holders in one process, for the kernel tells files apart by who has opened
// them; and a child that is killed.

#include "peer/machine/card_locks.hpp"

#include <csignal>
#include <cstdlib>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/temporary_directory.hpp"

namespace starling::peer {
namespace {

namespace fs = std::filesystem;

TEST(CardLocks, ACardThatIsTakenSaysByWhomAndOthersAreFree) {
    const testing::TemporaryDirectory root;
    CardLocks first(root.path());
    CardLocks second(root.path());
    EXPECT_EQ(first.claim("pci-0000:01:00.0"), "");
    EXPECT_EQ(first.claim("pci-0000:01:00.0"), "") << "it is ours already";
    EXPECT_EQ(second.claim("pci-0000:01:00.0"), "process " + std::to_string(::getpid()));
    EXPECT_EQ(second.claim("pci-0000:02:00.0"), "");
    EXPECT_EQ(first.claim("pci-0000:02:00.0"), "process " + std::to_string(::getpid()));
}

TEST(CardLocks, WhatIsGivenBackIsFree) {
    const testing::TemporaryDirectory root;
    CardLocks second(root.path());
    {
        CardLocks first(root.path());
        EXPECT_EQ(first.claim("a"), "");
        EXPECT_EQ(first.claim("b"), "");
        first.keep_only("b");
        EXPECT_EQ(second.claim("a"), "");
        EXPECT_NE(second.claim("b"), "");
    }
    EXPECT_EQ(second.claim("b"), "");
}

TEST(CardLocks, AProcessThatIsKilledHasNone) {
    const testing::TemporaryDirectory root;
    int ready[2];
    ASSERT_EQ(::pipe(ready), 0);
    const auto child = ::fork();
    if (child == 0) {
        CardLocks locks(root.path());
        const bool ours = locks.claim("a").empty();
        (void)!::write(ready[1], ours ? "y" : "n", 1);
        while (true) ::pause();
    }
    char answer = 0;
    ASSERT_EQ(::read(ready[0], &answer, 1), 1);
    EXPECT_EQ(answer, 'y');
    CardLocks locks(root.path());
    EXPECT_EQ(locks.claim("a"), "process " + std::to_string(child));
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);
    EXPECT_EQ(locks.claim("a"), "");
    ::close(ready[0]);
    ::close(ready[1]);
}

TEST(CardLocks, FilesLieInAFolderOfTheUserAndOnlyTheUserReadsThem) {
    const testing::TemporaryDirectory root;
    ASSERT_EQ(::setenv("XDG_RUNTIME_DIR", root.path().c_str(), 1), 0);
    CardLocks locks;
    ::unsetenv("XDG_RUNTIME_DIR");
    // A driver may call a card anything.
    EXPECT_EQ(locks.claim("../../x\n\xff y/" + std::string(500, 'z')), "");
    const auto folder = root.path() / "starling-cards";

    struct stat facts {};

    ASSERT_EQ(::stat(folder.c_str(), &facts), 0);
    EXPECT_EQ(facts.st_mode & 0777U, 0700U);
    std::size_t files = 0;
    for (const auto& entry : fs::directory_iterator(folder)) {
        ++files;
        ASSERT_EQ(::stat(entry.path().c_str(), &facts), 0);
        EXPECT_EQ(facts.st_mode & 0777U, 0600U);
        EXPECT_TRUE(entry.path().filename().string().starts_with(".._.._x___y_zz"));
    }
    EXPECT_EQ(files, 1U);
}

TEST(CardLocks, WithoutAFolderNobodyIsKnownToHaveACard) {
    CardLocks first{fs::path()};
    CardLocks second{fs::path("/no/such/folder")};
    EXPECT_EQ(first.claim("a"), "");
    EXPECT_EQ(second.claim("a"), "");
}

}  // namespace
}  // namespace starling::peer
