// Goal: peers of this user are found while they run, and never afterwards. Method: a runtime
// directory of the test's own.

#include "peer/machine/running.hpp"

#include <cstdlib>
#include <fstream>
#include <gtest/gtest.h>
#include <optional>
#include <sys/stat.h>

#include "tests/support/temporary_directory.hpp"

namespace starling::peer {
namespace {

namespace fs = std::filesystem;

class Running : public ::testing::Test {
protected:
    Running() { EXPECT_EQ(::setenv("XDG_RUNTIME_DIR", root_.path().c_str(), 1), 0); }

    ~Running() override { ::unsetenv("XDG_RUNTIME_DIR"); }

    starling::testing::TemporaryDirectory root_;
};

TEST_F(Running, APeerIsFoundWhileItsMarkLives) {
    EXPECT_TRUE(running_peers().empty());
    {
        std::optional<RunningMark> mark(RunningPeer{"127.0.0.1:80", "ab", "/s t"});
        RunningMark moved(std::move(*mark));
        mark.reset();
        const auto found = running_peers();
        ASSERT_EQ(found.size(), 1U);
        EXPECT_EQ(found[0].http, "127.0.0.1:80");
        EXPECT_EQ(found[0].id, "ab");
        EXPECT_EQ(found[0].state, "/s t");
    }
    EXPECT_TRUE(running_peers().empty());
}

TEST_F(Running, AFileOfAPeerThatWasKilledIsRemoved) {
    const RunningMark mark(RunningPeer{"127.0.0.1:80", "ab", ""});
    const auto directory = root_.path() / "starling";
    // Process ids on Linux end at 2^22.
    for (const auto* name : {"99999999", "nonsense", "-1", "0"}) {
        std::ofstream(directory / name) << "127.0.0.1:81\ncd\n\n";
    }
    EXPECT_EQ(running_peers().size(), 1U);
    EXPECT_EQ(std::distance(fs::directory_iterator(directory), fs::directory_iterator()), 1);
}

TEST_F(Running, ADirectoryThatOthersMayWriteToIsNotUsed) {
    const auto directory = root_.path() / "starling";
    ASSERT_EQ(::mkdir(directory.c_str(), 0700), 0);
    ASSERT_EQ(::chmod(directory.c_str(), 0777), 0);
    const RunningMark mark(RunningPeer{"127.0.0.1:80", "ab", ""});
    EXPECT_TRUE(running_peers().empty());
    EXPECT_TRUE(fs::is_empty(directory));
}

}  // namespace
}  // namespace starling::peer
