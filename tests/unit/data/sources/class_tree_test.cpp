// Goal: many files cost little memory, and each is still found, read and named. Method: a tree of small
// files, and what the allocator has given out for its list.

#include "data/sources/class_tree.hpp"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <malloc.h>

#include "tests/support/temporary_directory.hpp"

namespace starling::data {
namespace {

namespace fs = std::filesystem;

std::size_t allocated() {
    const auto info = ::mallinfo2();
    return info.uordblks + info.hblkhd;
}

class ClassTrees : public ::testing::Test {
protected:
    void write(const std::string& name, const std::string& content) const {
        const auto path = root_.path() / name;
        fs::create_directories(path.parent_path());
        std::ofstream(path) << content;
    }

    [[nodiscard]] TreeOptions options() const {
        TreeOptions options;
        options.path = root_.path().string();
        options.extensions = {".jpg"};
        return options;
    }

    static std::string bytes_of(const ClassTree& tree, const TreeFile& file) {
        Bytes bytes;
        const auto read = tree.records.read(file.place, bytes);
        return read ? std::string(as_text(bytes)) : read.error().message;
    }

    starling::testing::TemporaryDirectory root_;
};

TEST_F(ClassTrees, ManyFilesCostFewBytesEach) {
    constexpr std::size_t kFiles = 8000;
    for (std::size_t i = 0; i < kFiles; ++i) {
        const auto name = std::to_string(100000 + i) + ".jpg";
        write((i % 2 == 0 ? "cat/" : "dog/") + name, "x");
    }
    const auto before = allocated();
    const auto tree = list_class_tree(options());
    const auto after = allocated();
    ASSERT_TRUE(tree.has_value()) << tree.error().message;
    ASSERT_EQ(tree->files.size(), kFiles);
    // 40 in the list, up to 64 with the room of the growing vector for size, time and place, and the
    // name below the root and in its folder: 24. It were 450.
    EXPECT_LE((after - before) / kFiles, 140U);
}

TEST_F(ClassTrees, FilesOfManyFoldersAreReadAndNamedFromWhereTheyLie) {
    for (const auto* name : {"b/1.jpg", "a/1.jpg", "a/deep/2.jpg", "b/deep/3.jpg", "c/1.jpg"}) {
        write(name, std::string("bytes of ") + name);
    }
    const auto tree = list_class_tree(options());
    ASSERT_TRUE(tree.has_value()) << tree.error().message;
    EXPECT_EQ(tree->classes, (std::vector<std::string>{"a", "b", "c", "deep"}));
    std::vector<std::string> names;
    for (const auto& file : tree->files) {
        names.emplace_back(file.name);
        EXPECT_EQ(bytes_of(*tree, file), "bytes of " + names.back());
    }
    EXPECT_EQ(
        names,
        (std::vector<std::string>{"a/1.jpg", "a/deep/2.jpg", "b/1.jpg", "b/deep/3.jpg", "c/1.jpg"})
    );
    EXPECT_EQ(tree->files[1].label, 3);
    write("b/deep/3.jpg", "other");
    const auto what = bytes_of(*tree, tree->files[3]);
    EXPECT_NE(what.find((root_.path() / "b/deep/3.jpg").string()), std::string::npos) << what;
    fs::remove(root_.path() / "c/1.jpg");
    const auto gone = bytes_of(*tree, tree->files[4]);
    EXPECT_NE(gone.find((root_.path() / "c/1.jpg").string()), std::string::npos) << gone;
}

TEST_F(ClassTrees, TheListSurvivesAMove) {
    write("a/1.jpg", "one");
    write("b/2.jpg", "two");
    auto tree = list_class_tree(options());
    ASSERT_TRUE(tree.has_value());
    const ClassTree moved = std::move(*tree);
    EXPECT_EQ(moved.files[1].name, "b/2.jpg");
    EXPECT_EQ(bytes_of(moved, moved.files[1]), "two");
}

}  // namespace
}  // namespace starling::data
