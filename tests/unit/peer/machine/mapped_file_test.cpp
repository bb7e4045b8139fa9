// Goal: mapped bytes are the file's, stay when its name is gone, and have a limit. Method: real files
// in a temporary directory.

#include "peer/machine/mapped_file.hpp"

#include <gtest/gtest.h>

#include "peer/machine/files.hpp"
#include "tests/support/temporary_directory.hpp"

namespace starling::peer {
namespace {

class MappedFiles : public ::testing::Test {
protected:
    starling::testing::TemporaryDirectory directory_;
    std::filesystem::path path_ = directory_.path() / "file";
};

TEST_F(MappedFiles, HoldWhatTheFileHoldsAlsoWhenItsNameIsGone) {
    starling::testing::write_quickly(path_, as_byte_view("shard"));
    const auto mapped = real_disk().map(path_, 5);
    ASSERT_TRUE(mapped.has_value()) << mapped.error().message;
    EXPECT_TRUE(mapped->mapped);
    std::filesystem::remove(path_);
    EXPECT_EQ(as_text(mapped->view), "shard");
}

TEST_F(MappedFiles, AnEmptyFileHasNoBytes) {
    starling::testing::write_quickly(path_, {});
    const auto mapped = real_disk().map(path_, 5);
    ASSERT_TRUE(mapped.has_value()) << mapped.error().message;
    EXPECT_TRUE(mapped->view.empty());
    EXPECT_TRUE(static_cast<bool>(*mapped));
}

TEST_F(MappedFiles, WhatIsTooLongOrNoFileIsRefusedByName) {
    starling::testing::write_quickly(path_, as_byte_view("shard"));
    const auto longer = real_disk().map(path_, 4);
    ASSERT_TRUE(longer.has_error());
    EXPECT_EQ(longer.error().code, FaultCode::Oversized);
    EXPECT_NE(longer.error().message.find(path_.string()), std::string::npos);
    EXPECT_TRUE(real_disk().map(directory_.path(), 100).has_error());
    EXPECT_EQ(real_disk().map(path_.string() + "x", 100).error().code, FaultCode::NotFound);
}

TEST_F(MappedFiles, WithoutANameTheyLeaveNothingBehind) {
    const Bytes bytes(10000, std::byte{7});
    const auto mapped = map_unnamed(bytes);
    ASSERT_TRUE(mapped.has_value()) << mapped.error().message;
    EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), mapped->view.begin(), mapped->view.end()));
}

TEST_F(MappedFiles, AStampChangesWithTheFile) {
    EXPECT_FALSE(real_disk().stamp(path_).has_value());
    ASSERT_TRUE(write_file_atomically(path_, as_byte_view("one"), 0600).has_value());
    const auto before = real_disk().stamp(path_);
    ASSERT_TRUE(before.has_value());
    EXPECT_EQ(real_disk().stamp(path_), before);
    ASSERT_TRUE(write_file_atomically(path_, as_byte_view("two"), 0600).has_value());
    EXPECT_NE(real_disk().stamp(path_), before);
}

}  // namespace
}  // namespace starling::peer
