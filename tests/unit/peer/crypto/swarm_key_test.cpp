// Goal: a key file is read as it was written, and a wrong one is refused with a sentence.
// Method: files in a temporary directory.

#include "peer/crypto/swarm_key.hpp"

#include <fstream>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/support/temporary_directory.hpp"

namespace starling::peer {
namespace {

TEST(SwarmKeyFile, IsReadAsItWasWrittenAndItsOwnerOnlyMay) {
    const starling::testing::TemporaryDirectory directory;
    const auto path = directory.path() / "swarm.key";
    const auto key = random_swarm_key();
    ASSERT_TRUE(write_swarm_key(path, key).has_value());

    struct stat status {};

    ASSERT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0600U);
    const auto again = read_swarm_key(path);
    ASSERT_TRUE(again.has_value()) << again.error().message;
    EXPECT_EQ(*again, key);
    ::chmod(path.c_str(), 0644);
    EXPECT_EQ(read_swarm_key(path).error().code, FaultCode::Usage);
}

TEST(SwarmKeyFile, AWrongOneIsRefused) {
    const starling::testing::TemporaryDirectory directory;
    const auto path = directory.path() / "swarm.key";
    EXPECT_EQ(read_swarm_key(path).error().code, FaultCode::NotFound);
    const std::string good(64, 'a');
    for (const auto& text : {std::string(), good + "a", good.substr(1), good.substr(1) + "g"}) {
        std::ofstream(path) << text << "\n";
        ::chmod(path.c_str(), 0600);
        EXPECT_EQ(read_swarm_key(path).error().code, FaultCode::BadFormat) << text;
    }
}

}  // namespace
}  // namespace starling::peer
