// Goal: founder and joiners cut the same shards from the same files, whatever the joiner's spec
// says about windows, and the model may set the windows. Method: a text and images that the test
// writes.

#include "peer/terms/task.hpp"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

#include "peer/terms/data_set.hpp"
#include "tests/support/temporary_directory.hpp"

namespace starling::peer {
namespace {

class Tasks : public ::testing::Test {
protected:
    Tasks() {
        std::ofstream file(directory_.path() / "text.txt");
        for (int i = 0; i < 10000; ++i) file << i << ' ';
    }

    [[nodiscard]] std::string text(const std::string& options = "") const {
        return "text:" + (directory_.path() / "text.txt").string() + options;
    }

    starling::testing::TemporaryDirectory directory_;
};

TEST_F(Tasks, TheModelDecidesATextsWindowsWhereTheTextDoesNot) {
    const std::string gpt = "gpt?layers=1&context=32";
    const auto shape = [](const std::string& dataset, const std::string& model) {
        return cut_for_swarm(dataset, model)->sharded.manifest.shape();
    };
    EXPECT_EQ(shape(text(), gpt), (std::vector<std::uint32_t>{32}));
    EXPECT_EQ(shape(text("?context=16"), gpt), (std::vector<std::uint32_t>{16}));
    EXPECT_EQ(shape(text(), "gpt"), (std::vector<std::uint32_t>{64}));
    EXPECT_TRUE(cut_for_swarm(text(), "gpt?context=none").has_error());
}

TEST_F(Tasks, AJoinersShardsAreTheFoundersWhateverItsSpecSaysAboutWindows) {
    const auto partition = *data::Partition::parse("iid?owners=3");
    const auto founded = cut_for_swarm(text("?context=16"), "", partition);
    ASSERT_TRUE(founded.has_value()) << founded.error().message;
    const auto* founder = &founded->sharded;
    EXPECT_GT(founder->manifest.shards.size(), 20U);
    std::vector<Bytes> shards;
    const auto joiner = cut_like(text(), founder->manifest, data::collect_in(shards));
    ASSERT_TRUE(joiner.has_value()) << joiner.error().message;
    EXPECT_EQ(
        data::encode_manifest(*joiner).size(),
        data::encode_manifest(founder->manifest).size() - std::string("?context=16").size()
    );
    std::vector<Bytes> theirs;
    for (const auto& shard : founder->shards) {
        theirs.emplace_back(shard.bytes.view.begin(), shard.bytes.view.end());
    }
    EXPECT_EQ(shards, theirs);
}

TEST_F(Tasks, ATextIsEvaluatedInBatchesOfSoManyCharacters) {
    const auto founded = cut_for_swarm(text("?context=16"), "");
    const auto* founder = &founded->sharded;
    EXPECT_EQ(evaluation_batch(founder->manifest), 256);
    auto wide = founder->manifest;
    std::get<data::TokenRecipe>(wide.recipe).context = 8192;
    EXPECT_EQ(evaluation_batch(wide), 1);
    EXPECT_EQ(task_of(founder->manifest).classes, 11);
    EXPECT_EQ(task_of(founder->manifest).sample_shape, (std::vector<std::int64_t>{16}));
}

/// Pictures with boxes; a grey file of 26 x 17 pixels is enough.
class BoxTasks : public Tasks {
protected:
    BoxTasks() {
        const auto picture =
            std::filesystem::path(STARLING_SOURCE_DIR) / "tests/golden/media/grey.jpg";
        for (const auto* folder : {"v/JPEGImages", "v/Annotations"}) {
            std::filesystem::create_directories(directory_.path() / folder);
        }
        for (const std::string name : {"a", "b", "c"}) {
            std::filesystem::copy_file(
                picture, directory_.path() / "v/JPEGImages" / (name + ".jpg")
            );
            std::ofstream(directory_.path() / "v/Annotations" / (name + ".xml"))
                << "<annotation><object><name>dog</name><bndbox><xmin>1</xmin><ymin>1</ymin>"
                   "<xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>";
        }
    }

    [[nodiscard]] data::Manifest manifest(const std::string& options, const std::string& model) {
        const auto spec = "voc:" + (directory_.path() / "v").string() + "?test=0" + options;
        auto cut = cut_for_swarm(spec, model);
        EXPECT_TRUE(cut.has_value()) << cut.error().message;
        return cut->sharded.manifest;
    }
};

TEST_F(BoxTasks, TheDetectorDecidesThePicturesSizeWhereTheDataDoNot) {
    using Shape = std::vector<std::uint32_t>;
    const std::string wide = "detector?size=64x32";
    EXPECT_EQ(manifest("", wide).shape(), (Shape{1, 32, 64}));
    EXPECT_EQ(manifest("&size=16x48", wide).shape(), (Shape{1, 16, 48}));
    EXPECT_EQ(manifest("", "detector?size=64x31").shape(), manifest("", "detector").shape());
    EXPECT_EQ(manifest("", "mlp").shape(), manifest("", "detector").shape());
}

TEST_F(BoxTasks, BoxesAreATask) {
    const auto boxes = manifest("", "detector?size=64x32");
    EXPECT_TRUE(check_learnable(boxes).has_value());
    const auto task = task_of(boxes);
    EXPECT_EQ(task.kind, compute::LabelKind::Boxes);
    EXPECT_EQ(task.classes, 1);
    EXPECT_EQ(task.boxes, data::kBoxesMax);
    EXPECT_TRUE(compute::check_task(task).has_value());
    EXPECT_EQ(evaluation_batch(boxes), 16);
    auto nothing = boxes;
    nothing.schema.label = {data::LabelKind::None, 0, {}, {}};
    EXPECT_TRUE(check_learnable(nothing).has_error());
}

}  // namespace
}  // namespace starling::peer
