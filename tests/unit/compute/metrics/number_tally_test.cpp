// Goal: errors of numbers and R^2 are right, also where targets are large and close together.
// Method: a naive twin in two passes over full lists.

#include "compute/metrics/number_tally.hpp"

#include <limits>

#include "compute/metrics/packing.hpp"
#include "tests/unit/compute/metrics/tally_fixture.hpp"

namespace starling::compute {
namespace {

struct Numbers {
    std::vector<float> answers;
    std::vector<float> targets;
};

/// Targets around 0 to 4 million, by column, some 0.1 to 1 apart.
Numbers random_numbers(Rng& rng, std::size_t samples, std::size_t columns) {
    Numbers out;
    for (std::size_t i = 0; i < samples * columns; ++i) {
        const auto target =
            static_cast<float>(1e6 * static_cast<double>(i % columns % 5) + rng.normal());
        out.targets.push_back(target);
        out.answers.push_back(target + static_cast<float>(rng.normal() * 0.3));
    }
    return out;
}

NumberTally tally_of(const Numbers& numbers, std::size_t columns) {
    NumberTally tally(columns);
    EXPECT_TRUE(tally.add(numbers.answers, numbers.targets).has_value());
    return tally;
}

/// R^2 of one column in two passes.
double twin_r2(const Numbers& numbers, std::size_t column, std::size_t stride) {
    double mean = 0.0;
    double count = 0.0;
    for (auto i = column; i < numbers.targets.size(); i += stride) {
        mean += double{numbers.targets[i]};
        count += 1.0;
    }
    mean /= count;
    double error = 0.0;
    double scatter = 0.0;
    for (auto i = column; i < numbers.targets.size(); i += stride) {
        error += std::pow(double{numbers.answers[i]} - double{numbers.targets[i]}, 2);
        scatter += std::pow(double{numbers.targets[i]} - mean, 2);
    }
    return 1.0 - error / scatter;
}

TEST(NumberTally, AgreesWithItsTwin) {
    Rng rng(1);
    for (const std::size_t columns : {1U, 3U, 256U}) {
        const auto numbers = random_numbers(rng, 50, columns);
        const auto tally = tally_of(numbers, columns);
        double absolute = 0.0;
        double squared = 0.0;
        double r2 = 0.0;
        const auto count = static_cast<double>(numbers.targets.size());
        for (std::size_t i = 0; i < numbers.targets.size(); ++i) {
            const auto error = double{numbers.answers[i]} - double{numbers.targets[i]};
            absolute += std::abs(error) / count;
            squared += error * error / count;
        }
        for (std::size_t c = 0; c < columns; ++c) {
            r2 += twin_r2(numbers, c, columns) / static_cast<double>(columns);
        }
        EXPECT_NEAR(*tally.mean_absolute_error(), absolute, 1e-12);
        EXPECT_NEAR(*tally.loss(), squared, 1e-12);
        EXPECT_NEAR(*tally.root_mean_square_error(), std::sqrt(squared), 1e-12);
        EXPECT_NEAR(*tally.r2(), r2, 1e-9);
        EXPECT_EQ(tally.count(), 50U * columns);
    }
}

TEST(NumberTally, ManyNumbersAreOneColumn) {
    Rng rng(2);
    const auto numbers = random_numbers(rng, 20, 300);
    EXPECT_NEAR(*tally_of(numbers, 300).r2(), twin_r2(numbers, 0, 1), 1e-12);
}

TEST(NumberTally, EqualTargetsHaveTheR2OfScikitLearn) {
    EXPECT_EQ(*tally_of({{2.0F, 2.0F}, {2.0F, 2.0F}}, 1).r2(), 1.0);
    EXPECT_EQ(*tally_of({{2.0F, 3.0F}, {2.0F, 2.0F}}, 1).r2(), 0.0);
    EXPECT_FALSE(tally_of({{2.0F}, {3.0F}}, 1).r2().has_value());
    const NumberTally empty(2);
    EXPECT_FALSE(empty.loss() || empty.mean_absolute_error() || empty.root_mean_square_error());
    EXPECT_FALSE(empty.r2().has_value());
    expect_sound_codec(empty);
}

TEST(NumberTally, LargestFloatsAreCounted) {
    const auto most = std::numeric_limits<float>::max();
    const auto least = std::numeric_limits<float>::denorm_min();
    const auto tally = tally_of({{most, -most, least, 0.0F}, {-most, most, 0.0F, least}}, 1);
    EXPECT_DOUBLE_EQ(*tally.r2(), -3.0);
    expect_sound_codec(tally);
    expect_sound_codec(tally_of({{least, 0.0F}, {0.0F, least}}, 1));
}

TEST(NumberTally, WhatDoesNotFitIsNotCounted) {
    NumberTally tally(2);
    const std::vector<float> pair{1.0F, 2.0F};
    const std::vector<float> triple{1.0F, 2.0F, 3.0F};
    for (const float bad : {std::nanf(""), HUGE_VALF}) {
        EXPECT_TRUE(tally.add(pair, std::vector{1.0F, bad}).has_error());
        EXPECT_TRUE(tally.add(std::vector{bad, 1.0F}, pair).has_error());
    }
    EXPECT_TRUE(tally.add(triple, triple).has_error());
    EXPECT_TRUE(tally.add(pair, triple).has_error());
    EXPECT_TRUE(tally.merge(NumberTally(3)).has_error());
    EXPECT_EQ(tally, NumberTally(2));
}

TEST(NumberTally, PartsMergeInAnyOrder) {
    Rng rng(3);
    std::vector<NumberTally> parts;
    NumberTally whole(2);
    for (int i = 0; i < 6; ++i) {
        const auto numbers = random_numbers(rng, 30, 2);
        parts.push_back(tally_of(numbers, 2));
        ASSERT_TRUE(whole.add(numbers.answers, numbers.targets).has_value());
    }
    expect_any_order(parts, whole);
    expect_sound_codec(whole);
}

TEST(NumberTally, SumsThatContradictEachOtherAreRefused) {
    const auto is_taken = [](double absolute, double squared, double target, double targets) {
        Bytes bytes;
        ByteWriter out(bytes);
        put_packed(out, 1);
        put_packed(out, 4);
        for (const double value : {absolute, squared, target, targets}) {
            ExactSum sum;
            sum.add(value);
            sum.encode(out);
        }
        return is_read<NumberTally>(bytes);
    };
    EXPECT_TRUE(is_taken(4.0, 4.0, -4.0, 4.0));
    EXPECT_TRUE(is_taken(4.0, 16.0, -4.0, 16.0));
    EXPECT_FALSE(is_taken(-4.0, 4.0, 4.0, 4.0));
    EXPECT_FALSE(is_taken(4.0, -4.0, 4.0, 4.0));
    EXPECT_FALSE(is_taken(4.0, 4.0, 4.0, -4.0));
    EXPECT_FALSE(is_taken(4.0, 3.9, 4.0, 4.0));
    EXPECT_FALSE(is_taken(4.0, 16.1, 4.0, 4.0));
    EXPECT_FALSE(is_taken(4.0, 4.0, 4.1, 4.0));
    EXPECT_FALSE(is_taken(1e300, 4.0, 4.0, 4.0));
    EXPECT_FALSE(is_taken(0.0, 0.0, 0.0, 1e300));
}

}  // namespace
}  // namespace starling::compute
