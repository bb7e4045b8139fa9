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
        std::optional<RunningMark> mark(RunningPeer{"127.0.0.1:80", "ab", "/s t", "ff", "cafe"});
        RunningMark moved(std::move(*mark));
        mark.reset();
        const auto found = running_peers();
        ASSERT_EQ(found.size(), 1U);
        EXPECT_EQ(found[0].http, "127.0.0.1:80");
        EXPECT_EQ(found[0].id, "ab");
        EXPECT_EQ(found[0].state, "/s t");
        EXPECT_EQ(found[0].life, "ff");
        EXPECT_EQ(found[0].token, "cafe");
    }
    EXPECT_TRUE(running_peers().empty());
}

TEST_F(Running, AFileOfAPeerThatWasKilledIsRemoved) {
    const RunningMark mark(RunningPeer{"127.0.0.1:80", "ab", "", "", ""});
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
    const RunningMark mark(RunningPeer{"127.0.0.1:80", "ab", "", "", ""});
    EXPECT_TRUE(running_peers().empty());
    EXPECT_TRUE(fs::is_empty(directory));
}

TEST_F(Running, AServingPlaceIsReadBackAndRemoved) {
    const ServingPlace place{*Endpoint::parse("[::1]:80"), random_life(), random_token()};
    EXPECT_EQ(place.life.size(), 32U);
    EXPECT_EQ(place.token.size(), 64U);
    EXPECT_NE(place.token, random_token());
    EXPECT_NE(place.life, random_life());
    EXPECT_EQ(read_serving_place(root_.path()).error().code, FaultCode::NotFound);
    ASSERT_TRUE(write_serving_place(root_.path(), place).has_value());
    const auto read = read_serving_place(root_.path());
    ASSERT_TRUE(read.has_value()) << read.error().message;
    EXPECT_EQ(read->http, place.http);
    EXPECT_EQ(read->life, place.life);
    EXPECT_EQ(read->token, place.token);

    struct stat status {};

    ASSERT_EQ(::stat((root_.path() / "http").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0600U) << "whoever reads it may order this peer about";
    const auto copy = read_token(root_.path() / "http");
    ASSERT_TRUE(copy.has_value()) << copy.error().message;
    EXPECT_EQ(*copy, place.token);
    remove_serving_place(root_.path());
    EXPECT_EQ(read_serving_place(root_.path()).error().code, FaultCode::NotFound);
}

TEST_F(Running, AServingPlaceOfAReleaseWithoutTokensIsRead) {
    std::ofstream(root_.path() / "http") << "127.0.0.1:80\nab\n";
    const auto read = read_serving_place(root_.path());
    ASSERT_TRUE(read.has_value()) << read.error().message;
    EXPECT_EQ(read->life, "ab");
    EXPECT_EQ(read->token, "");
    EXPECT_EQ(read_token(root_.path() / "http").error().code, FaultCode::BadFormat);
    const auto token = random_token();
    std::ofstream(root_.path() / "alone") << token << "\n";
    EXPECT_EQ(*read_token(root_.path() / "alone"), token);
}

/// Whoever asks must be able to say which life is meant. Without that, any peer at that address would
/// obey.
TEST_F(Running, AServingPlaceThatNamesNoLifeIsRefused) {
    for (const char* text :
         {"",
          "\n",
          "127.0.0.1:80",
          "127.0.0.1:80\n",
          "127.0.0.1:80\n\n",
          "127.0.0.1:80\nab",
          "nowhere\nab\n"}) {
        std::ofstream(root_.path() / "http") << text;
        EXPECT_EQ(read_serving_place(root_.path()).error().code, FaultCode::BadFormat) << text;
    }
}

}  // namespace
}  // namespace starling::peer
