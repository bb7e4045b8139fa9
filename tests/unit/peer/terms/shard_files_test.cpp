// Goal: a shard's file has its name, and only what lies in a user's files in large pieces stays there. Method: real files in
// a temporary directory.

#include "peer/terms/shard_files.hpp"

#include <gtest/gtest.h>

#include "peer/machine/files.hpp"
#include "tests/support/temporary_directory.hpp"

namespace starling::peer {
namespace {

TEST(ShardFiles, AFileHasTheShardsIdAsNameAndReplacesAnOlderOne) {
    starling::testing::TemporaryDirectory directory;
    ShardFiles files(real_disk(), directory.path() / "shards");
    const ShardId id{};
    ASSERT_TRUE(files.keep(id, as_byte_view("older")).has_value());
    const auto kept = files.keep(id, as_byte_view("newer"));
    ASSERT_TRUE(kept.has_value()) << kept.error().message;
    EXPECT_EQ(as_text(kept->view), "newer");
    EXPECT_EQ(as_text(*read_file(directory.path() / "shards" / id.hex(), 5)), "newer");
}

TEST(ShardFiles, LargeRecordsStayInTheUsersFileAndSmallOnesAreCopied) {
    starling::testing::TemporaryDirectory directory;
    ShardFiles files(real_disk(), directory.path() / "shards");
    const auto user = directory.path() / "user";
    starling::testing::write_quickly(user, Bytes(30'000, std::byte{7}));
    const auto state = data::state_of_file(user.string());
    ASSERT_TRUE(state.has_value());
    for (const std::uint32_t length : {100U, 10'000U}) {
        data::CutShard cut;
        cut.head = 20;
        cut.bytes = Bytes(20 + 3 * length, std::byte{7});
        for (const auto at : {0U, 100U, 200U})
            cut.extents.push_back({user.string(), *state, at, length});
        const auto kept = files.keep(cut);
        ASSERT_TRUE(kept.has_value()) << kept.error().message;
        const bool stays = length == 10'000;
        EXPECT_EQ(kept->extents != nullptr, stays);
        EXPECT_EQ(kept->size(), cut.bytes.size());
        EXPECT_EQ(std::filesystem::exists(files.list_path(cut.id)), stays);
        EXPECT_LT(kept->bytes.view.size(), 400U);
        // What the store has is written alike.
        const auto again = files.keep(cut.id, *kept);
        ASSERT_TRUE(again.has_value());
        EXPECT_EQ(again->extents != nullptr, stays);
    }
}

}  // namespace
}  // namespace starling::peer
