// Goal: weights make all classes of any counts alike, in bounds, and are counted from the training samples alone.
// Method: counts by table; shipped data sets, counted once more as `data inspect` counts them.

#include "peer/terms/class_weights.hpp"

#include <algorithm>
#include <fstream>
#include <gtest/gtest.h>

#include "peer/terms/data_set.hpp"
#include "tests/support/temporary_directory.hpp"

namespace starling::peer {
namespace {

const std::string kSamples = std::string(STARLING_SOURCE_DIR) + "/data/samples/";

ClassCounts counts_of(std::vector<std::uint64_t> counts) {
    ClassCounts made;
    for (const auto count : counts) made.samples += count;
    made.of_class = std::move(counts);
    return made;
}

std::vector<double> weights_of(const ClassCounts& counts) {
    const auto weights = balanced_weights(data::LabelKind::Class, counts);
    return {weights.begin(), weights.end()};
}

TEST(ClassWeights, MakeClassesCountAlikeAndKeepTheMeanOfTheSamples) {
    for (const auto& given : std::vector<std::vector<std::uint64_t>>{
             {500, 500},
             {900, 100},
             {30, 2970},
             {1000, 200, 50},
             {1, 1},
             {700, 0},
             {0, 3, 90000}}) {
        const auto counts = counts_of(given);
        const auto weights = weights_of(counts);
        ASSERT_EQ(weights.size(), given.size());
        double sum = 0.0;
        for (std::size_t i = 0; i < given.size(); ++i) {
            sum += static_cast<double>(given[i]) * weights[i];
        }
        EXPECT_NEAR(sum, static_cast<double>(counts.samples), 1e-5 * sum);
        const auto [least, most] = std::minmax_element(weights.begin(), weights.end());
        EXPECT_GT(*least, 0.0);
        EXPECT_LE(*most / *least, kClassWeightRatioMax * 1.0001);
    }
    const auto weights = weights_of(counts_of({900, 100}));
    EXPECT_NEAR(900.0 * weights[0], 100.0 * weights[1], 0.01 * 500.0)
        << "but for the one that is added";
    EXPECT_DOUBLE_EQ(weights_of(counts_of({40, 40}))[0], 1.0);
}

TEST(ClassWeights, AClassWithoutSamplesIsTheRarestAndNotInfinite) {
    const auto weights = weights_of(counts_of({20, 0}));
    EXPECT_NEAR(weights[0], 1.0, 1e-6);
    EXPECT_NEAR(weights[1], 21.0, 1e-5);
    EXPECT_TRUE(weights_of(counts_of({0, 0})).empty());
}

TEST(ClassWeights, OfSeveralLabelsHoldingCountsAsMuchAsNotHolding) {
    ClassCounts counts{{9, 99, 0, 1000}, 1000};
    const auto weights = balanced_weights(data::LabelKind::Classes, counts);
    ASSERT_EQ(weights.size(), 4U);
    EXPECT_NEAR(static_cast<double>(weights[0]), 992.0 / 10.0, 1e-3);
    EXPECT_NEAR(static_cast<double>(weights[1]), 902.0 / 100.0, 1e-4);
    EXPECT_FLOAT_EQ(weights[2], 100.0F);
    EXPECT_FLOAT_EQ(weights[3], 0.01F);
}

TEST(ClassWeights, AreCountedFromTheTrainingSamples) {
    for (const auto& spec :
         {"csv:" + kSamples + "breast_cancer.csv?skip=1&header=0&split=row%5==0",
          "idx:" + kSamples + "?train=500&test=100"}) {
        SCOPED_TRACE(spec);
        const auto cut = cut_for_swarm(spec, "");
        const auto looked = look_at(spec);
        ASSERT_TRUE(cut.has_value() && looked.has_value());
        const auto counts = count_classes(cut->sharded);
        EXPECT_EQ(counts.of_class, looked->tally.classes(cut->sharded.manifest.classes()));
        EXPECT_EQ(counts.samples, cut->sharded.manifest.samples(data::Split::Train));
        std::vector<std::string> notes;
        const auto weights = weigh_classes(ClassWeighting::Logits, cut->sharded, notes);
        ASSERT_TRUE(weights.has_value()) << weights.error().message;
        EXPECT_EQ(*weights, balanced_weights(data::LabelKind::Class, counts));
        ASSERT_EQ(notes.size(), 1U);
        EXPECT_EQ(notes[0].find("class weights: "), 0U) << notes[0];
        EXPECT_TRUE(weigh_classes(ClassWeighting::None, cut->sharded, notes)->empty());
        EXPECT_EQ(notes.size(), 1U);
    }
}

TEST(ClassWeights, MayDifferMoreInTheScoresThanInTheLoss) {
    starling::testing::TemporaryDirectory directory;
    const auto table = directory.path() / "rare.csv";
    {
        std::ofstream file(table);
        file << "age,kind\n";
        for (int i = 0; i < 2000; ++i) file << i << "," << (i % 500 == 7 ? "ill" : "well") << "\n";
    }
    const auto cut = cut_for_swarm("csv:" + table.string() + "?label=kind&test=0.5", "");
    ASSERT_TRUE(cut.has_value()) << cut.error().message;
    const auto counts = count_classes(cut->sharded);
    ASSERT_EQ(counts.of_class.size(), 2U);
    const double ratio = (static_cast<double>(counts.of_class[1]) + 1.0) /
                         (static_cast<double>(counts.of_class[0]) + 1.0);
    ASSERT_GT(ratio, kClassWeightRatioMax);
    for (const auto weighting : {ClassWeighting::Balanced, ClassWeighting::Logits}) {
        std::vector<std::string> notes;
        const auto weights = weigh_classes(weighting, cut->sharded, notes);
        ASSERT_TRUE(weights.has_value()) << weights.error().message;
        const bool shifts = weighting == ClassWeighting::Logits;
        EXPECT_NEAR(
            static_cast<double>(weights->at(0) / weights->at(1)),
            shifts ? std::min(ratio, 1000.0) : kClassWeightRatioMax,
            0.01
        );
    }
}

TEST(ClassWeights, WhatHasNoClassesOrWeighsThemItselfIsRefusedInOneLine) {
    starling::testing::TemporaryDirectory directory;
    const auto text = directory.path() / "text.txt";
    {
        std::ofstream file(text);
        for (int i = 0; i < 3000; ++i) file << i << ' ';
    }
    for (const auto& [spec, why] : std::vector<std::pair<std::string, std::string>>{
             {"text:" + text.string() + "?context=16", "not classes"},
             {"csv:" + kSamples + "breast_cancer.csv?skip=1&header=0&balance=1", "one of both"}}) {
        const auto cut = cut_for_swarm(spec, "");
        ASSERT_TRUE(cut.has_value()) << cut.error().message;
        std::vector<std::string> notes;
        const auto refused = weigh_classes(ClassWeighting::Balanced, cut->sharded, notes);
        ASSERT_TRUE(refused.has_error()) << spec;
        EXPECT_EQ(refused.error().code, FaultCode::Usage);
        EXPECT_NE(refused.error().message.find(why), std::string::npos) << refused.error().message;
        EXPECT_EQ(refused.error().message.find("--class-weights"), 0U);
    }
}

}  // namespace
}  // namespace starling::peer
