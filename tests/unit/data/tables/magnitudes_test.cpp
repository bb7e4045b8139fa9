// Goal: quantiles of magnitudes are as exact as promised, and depend on the values alone. Method:
// draws whose exact quantiles a sort gives; shuffles and parts; the extremes of doubles.

#include "data/tables/magnitudes.hpp"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <limits>

#include "base/rng.hpp"

namespace starling::data {
namespace {

TEST(Magnitudes, QuantilesAreOffByASixteenthAtMost) {
    Rng rng(3);
    for (const double spread : {0.1, 1.0, 8.0}) {
        std::vector<double> values;
        Magnitudes magnitudes;
        for (int i = 0; i < 20000; ++i) {
            values.push_back(std::exp(spread * rng.normal()));
            magnitudes.add(i % 2 == 0 ? values.back() : -values.back());
        }
        std::sort(values.begin(), values.end());
        for (const double share : {0.0, 0.01, 0.5, 0.9, 0.99, 1.0}) {
            const auto place =
                std::min<std::size_t>(values.size() - 1, static_cast<std::size_t>(share * 20000.0));
            EXPECT_NEAR(magnitudes.quantile(share) / values[place], 1.0, 1.0 / 16.0) << share;
        }
    }
}

TEST(Magnitudes, PartsAddUpToTheWholeInAnyOrder) {
    Rng rng(5);
    std::vector<double> values;
    for (int i = 0; i < 3000; ++i) values.push_back(std::exp(10.0 * rng.normal()) - 1.0);
    Magnitudes whole;
    for (const double value : values) whole.add(value);
    rng.shuffle(std::span(values));
    Magnitudes sum;
    for (std::size_t begin = 0; begin < values.size(); begin += 1000) {
        Magnitudes part;
        for (std::size_t i = begin; i < begin + 1000; ++i) part.add(values[i]);
        sum.add(part);
    }
    EXPECT_EQ(sum.count(), 3000U);
    for (int percent = 0; percent <= 100; ++percent) {
        EXPECT_EQ(sum.quantile(percent / 100.0), whole.quantile(percent / 100.0)) << percent;
    }
}

TEST(Magnitudes, ZerosHaveNoneAndExtremesStayFinite) {
    Magnitudes magnitudes;
    EXPECT_EQ(magnitudes.quantile(0.5), 0.0);
    magnitudes.add(0.0);
    magnitudes.add(-0.0);
    EXPECT_EQ(magnitudes.count(), 0U);
    for (const double value :
         {std::numeric_limits<double>::max(),
          std::numeric_limits<double>::lowest(),
          std::numeric_limits<double>::denorm_min()}) {
        magnitudes.add(value);
    }
    EXPECT_EQ(magnitudes.count(), 3U);
    EXPECT_NEAR(magnitudes.quantile(0.0) / 0x1p-64, 1.0, 1.0 / 16.0);
    EXPECT_NEAR(magnitudes.quantile(1.0) / 0x1p64, 1.0, 1.0 / 8.0);
}

}  // namespace
}  // namespace starling::data
