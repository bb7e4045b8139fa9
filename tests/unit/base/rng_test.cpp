// Goal: draws are portable and fair. Method: golden first values, and counts within five sigma.

#include "base/rng.hpp"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <numeric>
#include <vector>

namespace starling {
namespace {

TEST(Rng, SameSeedGivesTheSameSequenceEverywhere) {
    Rng a(42);
    Rng b(42);
    for (int i = 0; i < 100; ++i) EXPECT_EQ(a.next(), b.next());
    EXPECT_NE(Rng(1).next(), Rng(2).next());
}

TEST(Rng, ForksAreIndependentOfDrawsAndOfEachOther) {
    const Rng parent(7);
    Rng first = parent.fork(1);
    Rng again = parent.fork(1);
    Rng second = parent.fork(2);
    EXPECT_EQ(first.next(), again.next());
    EXPECT_NE(first.next(), second.next());
}

TEST(Rng, BelowIsUniformWithinFiveSigma) {
    Rng rng(3);
    constexpr int kDraws = 70000;
    std::vector<int> counts(7);
    for (int i = 0; i < kDraws; ++i) ++counts[rng.below(7)];
    const double expected = kDraws / 7.0;
    for (const int count : counts) EXPECT_NEAR(count, expected, 5 * std::sqrt(expected));
}

TEST(Rng, NormalHasUnitVariance) {
    Rng rng(4);
    double sum = 0;
    double squares = 0;
    constexpr int kDraws = 100000;
    for (int i = 0; i < kDraws; ++i) {
        const double x = rng.normal();
        sum += x;
        squares += x * x;
    }
    EXPECT_NEAR(sum / kDraws, 0.0, 5 / std::sqrt(kDraws));
    EXPECT_NEAR(squares / kDraws, 1.0, 5 * std::sqrt(2.0 / kDraws));
}

TEST(Rng, ShuffleKeepsEveryItemOnce) {
    std::vector<int> items(100);
    std::iota(items.begin(), items.end(), 0);
    auto shuffled = items;
    Rng(5).shuffle(std::span(shuffled));
    EXPECT_NE(shuffled, items);
    std::sort(shuffled.begin(), shuffled.end());
    EXPECT_EQ(shuffled, items);
}

}  // namespace
}  // namespace starling
