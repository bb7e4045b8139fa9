// Goal: a look at a data set counts what lies in its shards, and keeps no more than its first ones.
// Method: the same data are cut and kept, and counted shard by shard.

#include <fstream>
#include <gtest/gtest.h>

#include "data/shard_view.hpp"
#include "peer/terms/data_set.hpp"
#include "tests/support/temporary_directory.hpp"

namespace starling::peer {
namespace {

/// A grey PNG of 4 x 4.
constexpr unsigned char kPng[] = {
    0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48, 0x44,
    0x52, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x04, 0x08, 0x00, 0x00, 0x00, 0x00, 0x8c,
    0x9a, 0xc1, 0xa2, 0x00, 0x00, 0x00, 0x10, 0x49, 0x44, 0x41, 0x54, 0x78, 0x9c, 0x63, 0xe0,
    0xb2, 0x69, 0xfa, 0xc5, 0x80, 0x4a, 0x00, 0x00, 0x40, 0x38, 0x07, 0x09, 0xc5, 0xb2, 0xcd,
    0x95, 0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82};

const std::string kPixel(reinterpret_cast<const char*>(kPng), sizeof(kPng));

class Looks : public ::testing::Test {
protected:
    [[nodiscard]] std::string write(const std::string& name, const std::string& content) const {
        const auto path = root_.path() / name;
        std::ofstream(path) << content;
        return path.string();
    }

    /// Looks at a data set, and returns what it has found after a comparison with its shards.
    static LookedAt check(const std::string& spec) {
        const auto cut = cut_for_swarm(spec, "");
        auto looked = look_at(spec);
        EXPECT_TRUE(cut.has_value() && looked.has_value()) << spec;
        if (!cut || !looked) return {};
        const auto& manifest = cut->sharded.manifest;
        EXPECT_EQ(looked->manifest.shards.size(), manifest.shards.size());
        EXPECT_GT(manifest.shards.size(), kShardsLookedAt);
        EXPECT_EQ(looked->notes, cut->notes);
        EXPECT_EQ(looked->first.size(), kShardsLookedAt) << "nothing else is kept";
        std::vector<std::uint64_t> classes(manifest.classes());
        std::array<std::uint64_t, 2> tokens{};
        for (std::size_t i = 0; i < manifest.shards.size(); ++i) {
            EXPECT_EQ(looked->manifest.shards[i].id, manifest.shards[i].id);
            const auto view = data::view_shard(cut->sharded.shards[i], manifest);
            const bool train = manifest.shards[i].split == data::Split::Train;
            if (manifest.is_text()) tokens.at(train ? 0 : 1) += view.tokens();
            if (!train || manifest.schema.label.kind != data::LabelKind::Class) continue;
            for (std::uint32_t k = 0; k < view.samples; ++k) ++classes[view.label(k)];
        }
        EXPECT_EQ(looked->tally.classes(manifest.classes()), classes);
        EXPECT_EQ(looked->tally.tokens(), tokens);
        return std::move(*looked);
    }

    starling::testing::TemporaryDirectory root_;
};

TEST_F(Looks, AtATableCountItsClasses) {
    std::string table = "a,b,kind\n";
    for (int i = 0; i < 500; ++i) {
        table +=
            std::to_string(i) + "," + std::to_string(i * i % 17) + (i % 3 == 0 ? ",x\n" : ",y\n");
    }
    const auto looked = check("csv:" + write("table.csv", table));
    const auto counts = looked.tally.classes(2);
    EXPECT_EQ(counts[0] + counts[1], looked.manifest.samples(data::Split::Train));
    EXPECT_GT(counts[0], 100U);
}

TEST_F(Looks, AtNumbersToPredictCountNoClasses) {
    std::string table = "a,b\n";
    for (int i = 0; i < 500; ++i)
        table += std::to_string(i) + "," + std::to_string(i * 0.37) + "\n";
    const auto looked = check("csv:" + write("numbers.csv", table));
    EXPECT_EQ(looked.tally.classes(1)[0], 0U);
}

TEST_F(Looks, AtATextCountItsTokens) {
    std::string text;
    for (int i = 0; i < 10000; ++i) text += std::to_string(i) + " ";
    const auto looked = check("text:" + write("text.txt", text));
    EXPECT_GT(looked.tally.tokens()[0], looked.tally.tokens()[1]);
}

TEST_F(Looks, AtImagesOfBytesCountTheirClasses) {
    const auto looked = check("idx:" STARLING_SOURCE_DIR "/data/samples?train=1000&test=200");
    std::uint64_t sum = 0;
    for (const auto count : looked.tally.classes(10)) sum += count;
    EXPECT_EQ(sum, 1000U);
}

TEST_F(Looks, AtAFolderOfShardsCountAsAtTheFiles) {
    std::string table = "a,kind\n";
    for (int i = 0; i < 500; ++i) table += std::to_string(i) + (i % 5 == 0 ? ",x\n" : ",y\n");
    const auto spec = "csv:" + write("table.csv", table);
    std::vector<std::string> notes;
    const auto folder = root_.path() / "cut";
    ASSERT_TRUE(cut_into_folder(spec, folder, {}, notes).has_value());
    EXPECT_EQ(check("shards:" + folder.string()).tally.classes(2), check(spec).tally.classes(2));
}

TEST_F(Looks, AtBoxesCountThem) {
    for (int i = 0; i < 40; ++i) {
        const auto name = std::to_string(i);
        std::filesystem::create_directories(root_.path() / "images");
        std::filesystem::create_directories(root_.path() / "labels");
        (void)write("images/" + name + ".png", kPixel);
        (void
        )write("labels/" + name + ".txt", i % 2 == 0 ? "0 0.5 0.5 0.5 0.5\n1 0.5 0.5 1 1\n" : "");
    }
    (void)write("classes.txt", "cell\nplatelet\n");
    const auto looked = look_at("yolo:" + root_.path().string() + "?test=0.1");
    ASSERT_TRUE(looked.has_value()) << looked.error().message;
    const auto boxes = looked->tally.boxes(2);
    EXPECT_EQ(boxes.pictures, looked->manifest.samples(data::Split::Train));
    EXPECT_EQ(boxes.of_class[0], boxes.of_class[1]);
    EXPECT_EQ(boxes.of_class[0] + boxes.of_class[1], boxes.boxes);
    EXPECT_GT(boxes.boxes, 10U);
    EXPECT_EQ(boxes.most, 2U);
}

}  // namespace
}  // namespace starling::peer
