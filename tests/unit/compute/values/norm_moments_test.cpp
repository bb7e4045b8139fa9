// Goal: moments of parts of unlike data, joined in any grouping, are those of the mixture; a mean of variances is
// not. Method: numbers of two distributions beside sums over all of them.

#include "compute/values/norm_moments.hpp"

#include <cmath>
#include <gtest/gtest.h>

#include "base/rng.hpp"

namespace starling::compute {
namespace {

NormMoments moments_of(const std::vector<double>& numbers) {
    NormMoments made;
    made.samples = static_cast<double>(numbers.size());
    double sum = 0.0;
    for (const double x : numbers) sum += x;
    const double mean = sum / made.samples;
    double squares = 0.0;
    for (const double x : numbers) squares += (x - mean) * (x - mean);
    made.means = {mean};
    made.variances = {squares / made.samples};
    return made;
}

TEST(NormMoments, OfUnlikePartsJoinToThoseOfTheMixture) {
    Rng rng(4);
    std::vector<double> all;
    std::vector<NormMoments> parts;
    for (const double centre : {1000.0, 1003.0, 990.0}) {
        std::vector<double> numbers;
        for (int i = 0; i < 500; ++i) numbers.push_back(centre + 0.1 * rng.normal());
        parts.push_back(moments_of(numbers));
        all.insert(all.end(), numbers.begin(), numbers.end());
    }
    parts.push_back(moments_of({7.0, 9.0}));
    all.insert(all.end(), {7.0, 9.0});
    const auto wanted = moments_of(all);
    NormMoments whole;
    for (const auto& part : parts) ASSERT_TRUE(add_moments(whole, part).has_value());
    EXPECT_EQ(whole.samples, 1502.0);
    EXPECT_NEAR(whole.means[0], wanted.means[0], 1e-9 * wanted.means[0]);
    EXPECT_NEAR(whole.variances[0], wanted.variances[0], 1e-9 * wanted.variances[0]);
    EXPECT_LT(parts[0].variances[0], 0.1) << "each part alone is narrow";
    EXPECT_GT(whole.variances[0], 10.0);
    NormMoments left = parts[3];
    NormMoments right = parts[1];
    ASSERT_TRUE(add_moments(left, parts[0]).has_value());
    ASSERT_TRUE(add_moments(right, parts[2]).has_value());
    ASSERT_TRUE(add_moments(left, right).has_value());
    EXPECT_NEAR(left.variances[0], wanted.variances[0], 1e-9 * wanted.variances[0]);
}

TEST(NormMoments, ThoseOfNothingChangeNothingAndOthersAreRefused) {
    NormMoments whole;
    EXPECT_TRUE(add_moments(whole, {}).has_value());
    EXPECT_EQ(whole, NormMoments{});
    const NormMoments part{4.0, {1.0, 2.0}, {3.0, 0.0}};
    ASSERT_TRUE(add_moments(whole, part).has_value());
    ASSERT_TRUE(add_moments(whole, {}).has_value());
    EXPECT_EQ(whole, part);
    EXPECT_EQ(add_moments(whole, {1.0, {1.0}, {1.0}}).error().code, FaultCode::BadValue);
    EXPECT_EQ(whole, part);
}

}  // namespace
}  // namespace starling::compute
