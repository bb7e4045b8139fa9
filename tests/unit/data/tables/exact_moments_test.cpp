// Goal: mean and deviation are right to the last digits and depend on the values alone. Method: sums
// whose exact results are known, values at the ends of a double's range, and shuffled and split data.

#include "data/tables/exact_moments.hpp"

#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <vector>

#include "base/rng.hpp"

namespace starling::data {
namespace {

ExactMoments moments(const std::vector<double>& values) {
    ExactMoments result;
    for (const double value : values) result.add(value);
    return result;
}

TEST(ExactMoments, ThoseOfFewNumbersAreKnown) {
    EXPECT_EQ(moments({}).mean(), 0);
    EXPECT_EQ(moments({}).deviation(), 0);
    EXPECT_EQ(moments({7.25}).mean(), 7.25);
    EXPECT_EQ(moments({7.25}).deviation(), 0);
    EXPECT_EQ(moments({2, 4, 4, 4, 5, 5, 7, 9}).mean(), 5);
    EXPECT_EQ(moments({2, 4, 4, 4, 5, 5, 7, 9}).deviation(), 2);
    EXPECT_EQ(moments({-0.5, 0.5, -0.5, 0.5}).deviation(), 0.5);
    EXPECT_EQ(moments({-3, -3.5}).mean(), -3.25);
}

TEST(ExactMoments, NothingIsLostBesideLargeNumbers) {
    EXPECT_EQ(moments({1e300, 3, -1e300}).mean(), 1);
    EXPECT_EQ(moments({1e308, 1e308, 1e308}).mean(), 1e308);
    EXPECT_EQ(moments({1e308, -1e308}).deviation(), 1e308);
    EXPECT_EQ(moments({1e15 + 1, 1e15 - 1}).deviation(), 1);
    EXPECT_EQ(moments({1e15 + 0.125, 1e15 - 0.125}).deviation(), 0.125);
    const double least = std::numeric_limits<double>::denorm_min();
    EXPECT_EQ(moments({least, 3 * least}).mean(), 2 * least);
    EXPECT_EQ(moments({least, 3 * least}).deviation(), least);
    const double most = std::numeric_limits<double>::max();
    EXPECT_EQ(moments({most, most, -most, -most, least * 4}).mean(), least);
    EXPECT_EQ(moments({4e9, 4e9, -8e9, 6}).mean(), 1.5);
}

TEST(ExactMoments, OrderAndPartsDoNotMatter) {
    Rng rng(5);
    std::vector<double> values;
    for (int i = 0; i < 3000; ++i) {
        const double size = std::ldexp(1, static_cast<int>(rng.below(200)) - 100);
        values.push_back(rng.chance(0.3) ? std::floor(1000 * rng.normal()) : rng.normal() * size);
    }
    const auto whole = moments(values);
    EXPECT_EQ(whole.count(), values.size());
    for (int round = 0; round < 5; ++round) {
        rng.shuffle(std::span<double>(values));
        ExactMoments first;
        ExactMoments second;
        for (std::size_t i = 0; i < values.size(); ++i)
            (i % 3 == 0 ? first : second).add(values[i]);
        first.add(second);
        EXPECT_EQ(first.mean(), whole.mean());
        EXPECT_EQ(first.deviation(), whole.deviation());
        EXPECT_EQ(first.count(), whole.count());
    }
}

}  // namespace
}  // namespace starling::data
