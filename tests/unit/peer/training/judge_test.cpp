// Goal: an evaluation says what suits its labels, and counts what the engine counts. Method: answers
// that the test makes up, and numbers worked out by hand.

#include "peer/training/judge.hpp"

#include <cmath>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace starling::peer {
namespace {

data::Manifest manifest_of(data::LabelKind kind, std::uint32_t count) {
    data::Manifest manifest;
    manifest.schema.label = {kind, count, {}, {}};
    return manifest;
}

/// Turns rows of probabilities into what an engine answers.
std::vector<float> logs(const std::vector<double>& probabilities) {
    std::vector<float> answers;
    for (const double p : probabilities) answers.push_back(static_cast<float>(std::log(p)));
    return answers;
}

TEST(Judge, OfTwoClassesItKnowsTheRanking) {
    auto manifest = manifest_of(data::LabelKind::Class, 2);
    manifest.schema.label.names = {"sound", "fraud"};
    Judge judge(manifest);
    const auto answers = logs({0.9, 0.1, 0.6, 0.4, 0.7, 0.3, 0.2, 0.8});
    const std::vector<std::int32_t> labels{0, 1, 0, 1};
    ASSERT_TRUE(judge.add(answers, {{}, labels, {}}).has_value());
    const auto said = judge.qualities();
    EXPECT_DOUBLE_EQ(said["auc"], 1.0);
    EXPECT_DOUBLE_EQ(said["average_precision"], 1.0);
    EXPECT_DOUBLE_EQ(said["best_f1"], 1.0);
    EXPECT_DOUBLE_EQ(said["balanced_accuracy"], 0.75);
    EXPECT_FALSE(said.contains("top5_accuracy"));
    const auto classes = judge.classes();
    ASSERT_EQ(classes.size(), 2U);
    EXPECT_EQ(classes[1]["class"], "fraud");
    EXPECT_DOUBLE_EQ(classes[1]["recall"], 0.5);
    EXPECT_DOUBLE_EQ(classes[1]["precision"], 1.0);
}

TEST(Judge, QualitiesHaveTheNamesOfTargets) {
    const auto manifest = manifest_of(data::LabelKind::Class, 2);
    Judge all(manifest);
    Judge ranking(manifest, compute::QualityKind::Auc);
    const auto answers = logs({0.9, 0.1, 0.6, 0.4, 0.7, 0.3, 0.2, 0.8});
    const std::vector<std::int32_t> labels{0, 1, 0, 1};
    for (auto* judge : {&all, &ranking}) {
        EXPECT_FALSE(judge->quality(compute::QualityKind::Auc).has_value())
            << "nothing is known yet";
        ASSERT_TRUE(judge->add(answers, {{}, labels, {}}).has_value());
        EXPECT_EQ(judge->quality(compute::QualityKind::Auc), 1.0);
        // Of two classes the F1 is the best over all thresholds, not the mean over the classes.
        EXPECT_EQ(judge->quality(compute::QualityKind::F1), 1.0);
        EXPECT_EQ(judge->quality(compute::QualityKind::Balanced), 0.75);
        EXPECT_FALSE(judge->quality(compute::QualityKind::Bpb).has_value());
        EXPECT_EQ(judge->count(), 4U);
    }
    EXPECT_EQ(ranking.tallies().size(), 1U);
    const auto known = all.known(std::vector{compute::QualityKind::Mae, compute::QualityKind::Auc});
    ASSERT_EQ(known.size(), 1U);
    EXPECT_EQ(known[0], (compute::Quality{compute::QualityKind::Auc, 1.0}));
}

TEST(Judge, MergesAndForgets) {
    const auto manifest = manifest_of(data::LabelKind::Class, 2);
    Judge both(manifest, compute::QualityKind::Auc);
    // Neither half has an area under a curve: each has one class only.
    Judge half(manifest, compute::QualityKind::Auc);
    ASSERT_TRUE(both.add(logs({0.9, 0.1}), {{}, std::vector<std::int32_t>{0}, {}}).has_value());
    ASSERT_TRUE(half.add(logs({0.2, 0.8}), {{}, std::vector<std::int32_t>{1}, {}}).has_value());
    EXPECT_FALSE(half.quality(compute::QualityKind::Auc).has_value());
    ASSERT_TRUE(both.merge(half).has_value());
    EXPECT_EQ(both.quality(compute::QualityKind::Auc), 1.0);
    EXPECT_TRUE(both.merge(Judge(manifest)).has_error()) << "other tallies";
    EXPECT_EQ(both.count(), 2U);
    both.clear();
    EXPECT_EQ(both.count(), 0U);
}

TEST(Judge, OfManyClassesTheMeanAndTheBestFive) {
    Judge judge(manifest_of(data::LabelKind::Class, 8));
    const auto answers = logs({0.3, 0.2, 0.15, 0.1, 0.1, 0.05, 0.05, 0.05});
    ASSERT_TRUE(judge.add(answers, {{}, std::vector<std::int32_t>{2}, {}}).has_value());
    EXPECT_DOUBLE_EQ(judge.qualities()["top5_accuracy"], 1.0);
    EXPECT_DOUBLE_EQ(judge.qualities()["balanced_accuracy"], 0.0);
}

TEST(Judge, OfTokensTheBitsOfEachByte) {
    auto manifest = manifest_of(data::LabelKind::Tokens, 2);
    // The second character has two bytes.
    manifest.recipe = data::TokenRecipe{data::Tokenizer::Characters, "a\xc3\xa9", 2};
    Judge judge(manifest);
    const auto answers = logs({0.5, 0.5, 0.75, 0.25});
    ASSERT_TRUE(judge.add(answers, {{}, std::vector<std::int32_t>{0, 1}, {}}).has_value());
    EXPECT_NEAR(judge.qualities()["bits_per_byte"], (1.0 + 2.0) / 3.0, 1e-6);
    EXPECT_NEAR(judge.qualities()["perplexity"], std::sqrt(8.0), 1e-5);
}

TEST(Judge, OfNumbersAndOfLabelsThatMayHoldAtOnce) {
    Judge numbers(manifest_of(data::LabelKind::Numbers, 1));
    ASSERT_TRUE(
        numbers.add(std::vector<float>{1, 2, 3}, {{}, {}, std::vector<float>{1, 2, 5}}).has_value()
    );
    EXPECT_NEAR(numbers.qualities()["rmse"], std::sqrt(4.0 / 3.0), 1e-6);
    Judge labels(manifest_of(data::LabelKind::Classes, 2));
    const std::vector<float> scores{-1, 2, 3, -2};
    ASSERT_TRUE(labels.add(scores, {{}, {}, std::vector<float>{0, 1, 1, 0}}).has_value());
    EXPECT_DOUBLE_EQ(labels.qualities()["auc"], 1.0);
    EXPECT_TRUE(labels.classes().empty());
}

TEST(Judge, AnAnswerThatIsNoNumberIsRefused) {
    Judge judge(manifest_of(data::LabelKind::Class, 2));
    const std::vector<float> answers{std::nanf(""), 0.0F};
    EXPECT_TRUE(judge.add(answers, {{}, std::vector<std::int32_t>{0}, {}}).has_error());
    EXPECT_FALSE(judge.qualities().contains("auc"));
}

/// Answers of a detector for pictures of 32 x 64 pixels, in 2 x 4 cells, and what is there.
struct Pictures {
    data::Manifest manifest = manifest_of(data::LabelKind::Boxes, 2);
    std::vector<float> answers;
    std::vector<float> targets;

    Pictures() {
        data::Input image;
        image.storage = data::Storage::Encoded;
        image.shape = {{1, false}, {32, false}, {64, false}};
        manifest.schema.inputs = {image};
        data::ImageRecipe recipe;
        recipe.channels = 1;
        recipe.height = 32;
        recipe.width = 64;
        manifest.recipe = recipe;
        manifest.schema.label.names = {"cat", "dog"};
    }

    /// A picture with one box of 2 x 1 cells around the middle of a cell, and the answer that says so
    /// of another cell, perhaps.
    void add(std::size_t one_class, std::size_t truth, std::size_t answer) {
        std::vector<float> scores(6 * 8, -9.0F);
        scores[one_class * 8 + answer] = 2.0F;
        for (std::size_t i = 16; i < 48; ++i) scores[i] = i < 24 ? 2.0F : i < 32 ? 1.0F : 0.5F;
        answers.insert(answers.end(), scores.begin(), scores.end());
        std::vector<float> rows(std::size_t{data::kBoxesMax} * 5, 0.0F);
        for (std::size_t i = 0; i < rows.size(); i += 5) rows[i] = -1.0F;
        const auto column = static_cast<float>(truth % 4);
        const auto row = static_cast<float>(truth / 4);
        const float box[] = {
            static_cast<float>(one_class), (column + 0.5F) / 4, (row + 0.5F) / 2, 0.5F, 0.5F};
        std::copy(std::begin(box), std::end(box), rows.begin() + 5);
        targets.insert(targets.end(), rows.begin(), rows.end());
    }
};

TEST(Judge, OfBoxesTheMeanAveragePrecision) {
    Pictures pictures;
    Judge judge(pictures.manifest);
    pictures.add(0, 1, 1);
    pictures.add(0, 6, 6);
    pictures.add(1, 2, 2);
    pictures.add(1, 1, 7);
    ASSERT_TRUE(judge.add(pictures.answers, {{}, {}, pictures.targets}).has_value());
    // Of two dogs one was found, by one of two equal scores.
    const double dogs = judge.classes()[1]["ap50"];
    EXPECT_DOUBLE_EQ(judge.classes()[0]["ap50"], 1.0);
    EXPECT_GT(dogs, 0.2);
    EXPECT_LE(dogs, 0.5);
    EXPECT_DOUBLE_EQ(judge.qualities()["map50"], (1.0 + dogs) / 2.0);
    EXPECT_TRUE(judge.qualities().contains("map"));
    EXPECT_EQ(judge.classes()[1]["class"], "dog");
    EXPECT_EQ(judge.classes()[1]["boxes"], 2);
}

TEST(Judge, OfABatchOfPicturesAllCountOrNone) {
    Pictures pictures;
    Judge judge(pictures.manifest);
    pictures.add(0, 1, 1);
    pictures.add(0, 1, 1);
    pictures.answers.back() = std::nanf("");
    EXPECT_TRUE(judge.add(pictures.answers, {{}, {}, pictures.targets}).has_error());
    EXPECT_EQ(compute::count(judge.tallies()[0]), 0U);
    pictures.answers.pop_back();
    EXPECT_TRUE(judge.add(pictures.answers, {{}, {}, pictures.targets}).has_error());
}

}  // namespace
}  // namespace starling::peer
