// Goal: what a founder learns of a table's columns: which numbers go through a logarithm, the scales
// after it, and which words have codes. Method: small columns with known answers.

#include "data/tables/column_learner.hpp"

#include <cmath>
#include <gtest/gtest.h>
#include <limits>

#include "base/rng.hpp"
#include "data/tables/signed_log.hpp"

namespace starling::data {
namespace {

constexpr float kMissing = std::numeric_limits<float>::quiet_NaN();

Column number() {
    Column column;
    column.name = "x";
    return column;
}

Column words(std::vector<std::string> categories) {
    Column column;
    column.name = "town";
    column.kind = ColumnRole::Category;
    column.categories = std::move(categories);
    return column;
}

/// Learns a column of numbers.
Column learned(const std::vector<float>& values, LogChoice choice) {
    ColumnLearner learner({number()}, {choice});
    for (const float value : values) learner.add({&value, 1});
    if (learner.choose_logs()) {
        for (const float value : values) learner.add_again({&value, 1});
    }
    return learner.columns()[0];
}

/// Numbers whose magnitudes spread by so many factors of e, and some zeros; one in `negative` is below
/// 0.
std::vector<float> amounts(double spread, double unit = 1.0, int negative = 20) {
    Rng rng(9);
    std::vector<float> values(200, 0.0F);
    for (int i = 0; i < 4000; ++i) {
        const double size = unit * std::exp(spread * rng.normal());
        values.push_back(static_cast<float>(i % negative == 0 ? -size : size));
    }
    return values;
}

TEST(ColumnLearner, NumbersThatSpreadFarGoThroughALogarithm) {
    EXPECT_EQ(learned(amounts(0.7), LogChoice::Auto).log_unit, 0.0F) << "99 %: 5 medians";
    const auto wide = learned(amounts(1.5), LogChoice::Auto);
    EXPECT_NEAR(wide.log_unit, 1.0F, 0.1F) << "the median of what is not zero";
    EXPECT_EQ(learned(amounts(1.5), LogChoice::Never).log_unit, 0.0F);
    EXPECT_GT(learned(amounts(0.7), LogChoice::Always).log_unit, 0.0F);
    EXPECT_EQ(learned(std::vector<float>(9, 0.0F), LogChoice::Always).log_unit, 0.0F);
}

TEST(ColumnLearner, WhatLiesAroundZeroKeepsItsCentre) {
    EXPECT_EQ(learned(amounts(1.5, 1.0, 3), LogChoice::Auto).log_unit, 0.0F);
    EXPECT_GT(learned(amounts(1.5, 1.0, 3), LogChoice::Always).log_unit, 0.0F);
    auto debts = amounts(1.5);
    for (auto& value : debts) value = -value;
    EXPECT_GT(learned(debts, LogChoice::Auto).log_unit, 0.0F);
}

TEST(ColumnLearner, FlagsAndRareEventsAreNoReasonForALogarithm) {
    std::vector<float> flags(1000, 0.0F);
    for (int i = 0; i < 30; ++i) flags.push_back(1.0F);
    EXPECT_EQ(learned(flags, LogChoice::Auto).log_unit, 0.0F);
}

TEST(ColumnLearner, ScalesAreThoseOfTheLogarithms) {
    const auto values = amounts(1.5);
    const auto column = learned(values, LogChoice::Auto);
    double sum = 0.0;
    double squares = 0.0;
    for (const float value : values) {
        const double fed =
            (signed_log(value, column.log_unit) - column.scale.mean) / column.scale.stddev;
        sum += fed;
        squares += fed * fed;
    }
    const auto n = static_cast<double>(values.size());
    EXPECT_NEAR(sum / n, 0.0, 1e-5);
    EXPECT_NEAR(squares / n, 1.0, 1e-5);
    EXPECT_EQ(column.clip, kColumnClip);
}

TEST(ColumnLearner, FrancsAndCentsAreFedAlike) {
    const auto francs = learned(amounts(2.0), LogChoice::Auto);
    const auto cents = learned(amounts(2.0, 128.0), LogChoice::Auto);
    EXPECT_EQ(cents.log_unit, 128.0F * francs.log_unit);
    EXPECT_EQ(cents.scale, francs.scale);
}

TEST(ColumnLearner, MissingNumbersCountForNothing) {
    const auto column = learned({1.0F, kMissing, 3.0F}, LogChoice::Never);
    EXPECT_EQ(column.scale.mean, 2.0F);
    EXPECT_EQ(column.scale.stddev, 1.0F);
}

TEST(ColumnLearner, WordsOfOneRowTrainTheCodeForUnknownOnes) {
    ColumnLearner learner({words({"Aarau", "Bern", "Chur", "Davos"})}, {LogChoice::Auto});
    // 0 is missing; Davos is in no training row.
    for (const float code : {2.0F, 2.0F, 1.0F, 3.0F, 3.0F, 0.0F}) learner.add({&code, 1});
    EXPECT_FALSE(learner.choose_logs());
    const auto column = learner.columns()[0];
    EXPECT_EQ(column.categories, (std::vector<std::string>{"Bern", "Chur"}));
    EXPECT_TRUE(column.unknown);
    EXPECT_EQ(column.codes(), 4U);
    EXPECT_EQ(learner.codes()[0], (std::vector<float>{0, 3, 1, 2, 3}));
}

TEST(ColumnLearner, AColumnOfRareWordsKeepsThem) {
    ColumnLearner rare({words({"a", "b", "c"})}, {LogChoice::Auto});
    for (const float code : {1.0F, 2.0F}) rare.add({&code, 1});
    EXPECT_EQ(rare.columns()[0].categories, (std::vector<std::string>{"a", "b"}));
    const ColumnLearner untrained({words({"a", "b"})}, {LogChoice::Auto});
    EXPECT_EQ(untrained.columns()[0].categories, (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(untrained.codes()[0], (std::vector<float>{0, 1, 2}));
}

}  // namespace
}  // namespace starling::data
