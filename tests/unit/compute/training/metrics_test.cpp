// Goal: what an evaluation counts and sums is what the kind of labels means by it.
// Method: answers whose results are known, or computed by the definition.

#include "compute/training/metrics.hpp"

#include <cmath>
#include <gtest/gtest.h>
#include <vector>

namespace starling::compute {
namespace {

TEST(Metrics, OfAClassAreItsRankAndItsLogProbability) {
    const Task task{{1}, 3};
    const std::vector<float> answers{-0.1F, -3, -4, -2, -2, -0.5F, -1, -1, -1, 0, 0, 0};
    const std::vector<std::int32_t> labels{0, 1, 1};
    // The last row belongs to no label.
    const auto result = measure(task, answers, {{}, labels});
    EXPECT_EQ(result.samples, 3U);
    EXPECT_EQ(result.correct, 1U);
    EXPECT_NEAR(result.loss_sum, 0.1 + 2 + 1, 1e-6);
    EXPECT_TRUE(result.has_accuracy);
}

TEST(Metrics, OfLabelsAreTheirSideOfOneHalfAndTheirBinaryCrossEntropy) {
    const Task task{{1}, 2, 0, LabelKind::Classes, {7.0F, 7.0F}};
    const std::vector<float> scores{2, -1, -3, 0.5F, 50, -50, 9, 9};
    const std::vector<float> targets{1, 0, 1, 0.25F, 1, 1};
    const auto result = measure(task, scores, {{}, {}, targets});
    EXPECT_EQ(result.samples, 6U);
    EXPECT_EQ(result.correct, 3U);
    double expected = 0.0;
    for (std::size_t i = 0; i < 4; ++i) {
        const double p = 1.0 / (1.0 + std::exp(-static_cast<double>(scores[i])));
        const double z = static_cast<double>(targets[i]);
        expected -= z * std::log(p) + (1.0 - z) * std::log(1.0 - p);
    }
    // The logarithm of 1 / (1 + e^50), which the definition in doubles cannot give.
    EXPECT_NEAR(result.loss_sum, expected + 50.0, 1e-9);
    EXPECT_TRUE(result.has_accuracy);
}

TEST(Metrics, OfNumbersAreSquaredAndAbsoluteErrors) {
    const Task task{{1}, 2, 0, LabelKind::Numbers, {}, 0.5};
    const std::vector<float> answers{1, 2, 3, 4, 100, 100};
    const std::vector<float> targets{1, 0, 6, 4.5F};
    auto result = measure(task, answers, {{}, {}, targets});
    EXPECT_EQ(result.samples, 4U);
    EXPECT_EQ(result.correct, 0U);
    EXPECT_FALSE(result.has_accuracy);
    EXPECT_DOUBLE_EQ(result.loss(), (4.0 + 9.0 + 0.25) / 4.0);
    EXPECT_DOUBLE_EQ(result.absolute_error(), (2.0 + 3.0 + 0.5) / 4.0);
    EvalResult total;
    total += result;
    total += result;
    EXPECT_FALSE(total.has_accuracy);
    EXPECT_DOUBLE_EQ(total.absolute_error(), result.absolute_error());
}

}  // namespace
}  // namespace starling::compute
