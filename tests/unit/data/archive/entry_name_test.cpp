// Goal: names of entries cannot lead out of a folder, and no name comes twice.
// Method: tables of names.

#include "data/archive/entry_name.hpp"

#include <gtest/gtest.h>

namespace starling::data {
namespace {

TEST(EntryName, IsPlainWithoutDotsAndDoubledSlashes) {
    for (const auto& [name, plain] : std::vector<std::pair<std::string, std::string>>{
             {"a", "a"},
             {"./a", "a"},
             {"a//b/", "a/b"},
             {"a/./b", "a/b"},
             {"./", ""},
             {"", ""},
             {"..a/b..", "..a/b.."},
             {".hidden", ".hidden"},
         }) {
        const auto got = plain_name(name);
        ASSERT_TRUE(got.has_value()) << name;
        EXPECT_EQ(*got, plain) << name;
    }
}

TEST(EntryName, LeadsNeverOut) {
    for (const auto* name : {"/a", "..", "../a", "a/..", "a/../b", "./../a", "//a"}) {
        EXPECT_FALSE(plain_name(name).has_value()) << name;
    }
    EXPECT_TRUE(plain_name(std::string(kEntryNameBytesMax, 'a')).has_value());
    EXPECT_FALSE(plain_name(std::string(kEntryNameBytesMax + 1, 'a')).has_value());
}

TEST(NameSet, KnowsEveryNameThatItTook) {
    NameSet names;
    for (int i = 0; i < 20'000; ++i) EXPECT_TRUE(names.insert("name" + std::to_string(i)));
    for (int i = 0; i < 20'000; ++i) EXPECT_FALSE(names.insert("name" + std::to_string(i)));
    EXPECT_TRUE(names.insert(""));
    EXPECT_FALSE(names.insert(""));
}

}  // namespace
}  // namespace starling::data
