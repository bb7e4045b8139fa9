// Goal: archives are what numpy.savez writes, and odd ones are refused. Method: archives of Python's
// zipfile module as bytes of this file, changed byte by byte, and the real one where it is present.

#include "data/arrays/npz.hpp"

#include <gtest/gtest.h>
#include <numeric>

#include "tests/unit/data/arrays/npz_samples.hpp"
#include "tests/unit/data/support/shared_data.hpp"

namespace starling::data {
namespace {

using testing::shared_data;

std::string refusal(std::string_view archive) {
    const MemoryBytes bytes(archive, "a.npz");
    const auto file = NpzFile::open(bytes);
    return file.has_value() ? "accepted" : file.error().message;
}

/// Reads all members; returns the sum of their bytes, or the first fault.
Result<std::uint64_t> sum(const RandomBytes& bytes) {
    const auto file = NpzFile::open(bytes);
    if (!file) return file.error();
    std::uint64_t total = 0;
    for (const auto& member : file->members()) {
        auto content = file->content(member.name);
        if (!content) return content.error();
        auto array = file->array(member.name, **content);
        if (!array) return array.error();
        std::vector<std::uint8_t> room(1U << 16U);
        while (true) {
            const auto got = array->read(room);
            if (!got) return got.error();
            if (*got == 0) break;
            total = std::accumulate(
                room.begin(), room.begin() + static_cast<std::ptrdiff_t>(*got), total
            );
        }
    }
    return total;
}

TEST(Npz, StoredAndDeflatedMembersAreRead) {
    for (const auto archive : {kStoredNpz, kDeflatedNpz, kStreamedNpz}) {
        const MemoryBytes bytes(archive);
        const auto total = sum(bytes);
        ASSERT_TRUE(total.has_value()) << total.error().message;
        EXPECT_EQ(*total, 4950U + 6U) << "0 to 99 as bytes, and 1, 2, 3 as 16 bits";
    }
    const MemoryBytes bytes(kStoredNpz, "a.npz");
    const auto file = NpzFile::open(bytes);
    EXPECT_EQ(file->members()[0].name, "x");
    EXPECT_EQ(
        file->content("z").error().message, "a.npz: there is no array 'z'; the arrays are x, y"
    );
}

TEST(Npz, OddMembersAreRefused) {
    EXPECT_NE(refusal(kTwoAlikeNpz).find("two members are named 'x'"), std::string::npos);
    EXPECT_NE(refusal(kPathNpz).find("a name that no array has"), std::string::npos);
    EXPECT_NE(refusal(kLinkNpz).find("symbolic link"), std::string::npos);
    EXPECT_NE(refusal(kTextNpz).find("is not a .npy"), std::string::npos);
    EXPECT_NE(refusal("PK").find("not a zip"), std::string::npos);
    EXPECT_NE(refusal("").find("not a zip"), std::string::npos);
}

TEST(Npz, NoChangedOrMissingByteGivesOtherNumbers) {
    const std::string whole(kDeflatedNpz);
    for (std::size_t at = 0; at < whole.size(); ++at) {
        for (const unsigned change : {0x01U, 0x80U, 0xffU}) {
            auto changed = whole;
            changed[at] = static_cast<char>(static_cast<unsigned char>(changed[at]) ^ change);
            const MemoryBytes bytes(changed);
            const auto total = sum(bytes);
            if (total) {
                EXPECT_EQ(*total, 4956U) << "byte " << at;
            }
        }
        const MemoryBytes cut(std::string_view(whole).substr(0, at));
        EXPECT_FALSE(sum(cut).has_value());
    }
}

TEST(Npz, PneumoniaMnistIsWhatNumpyReads) {
    const auto path = shared_data("pneumoniamnist") / "pneumoniamnist_trainval.npz";
    STARLING_NEEDS_SHARED(path);
    const auto bytes = FileBytes::open(path);
    ASSERT_TRUE(bytes.has_value());
    const auto file = NpzFile::open(**bytes);
    ASSERT_TRUE(file.has_value()) << file.error().message;
    EXPECT_EQ(file->members().size(), 4U);
    const auto shape_of = [&](const char* name) {
        auto content = file->content(name);
        EXPECT_TRUE(content.has_value());
        const auto array = file->array(name, **content);
        EXPECT_TRUE(array.has_value());
        return array->header().shape;
    };
    using Shape = std::vector<std::uint64_t>;
    EXPECT_EQ(shape_of("train_images"), (Shape{4708, 28, 28}));
    EXPECT_EQ(shape_of("train_labels"), (Shape{4708, 1}));
    EXPECT_EQ(shape_of("val_images"), (Shape{524, 28, 28}));
    EXPECT_EQ(shape_of("val_labels"), (Shape{524, 1}));
    const auto total = sum(**bytes);
    ASSERT_TRUE(total.has_value()) << total.error().message;
    EXPECT_EQ(*total, kPneumoniaSum);
}

}  // namespace
}  // namespace starling::data
