// Goal: a permutation gives each thing once, and its orders look drawn. Method: all counts up to a few
// hundred and some large ones; frequencies over many seeds against those of fair draws.

#include "base/permutation.hpp"

#include <gtest/gtest.h>
#include <map>
#include <vector>

namespace starling {
namespace {

TEST(Permutation, EachThingComesOnce) {
    for (std::uint64_t count = 1; count < 300; ++count) {
        const Permutation order(count, 7);
        std::vector<bool> seen(count);
        for (std::uint64_t i = 0; i < count; ++i) {
            const auto thing = order(i);
            ASSERT_LT(thing, count);
            ASSERT_FALSE(seen[thing]) << count;
            seen[thing] = true;
        }
    }
    constexpr std::uint64_t kMany = 1'000'003;
    const Permutation order(kMany, 8);
    std::vector<bool> seen(kMany);
    for (std::uint64_t i = 0; i < kMany; ++i) seen[order(i)] = true;
    EXPECT_EQ(std::count(seen.begin(), seen.end(), true), static_cast<std::ptrdiff_t>(kMany));
}

TEST(Permutation, OrdersOfFewAreAllDrawnAboutAsOften) {
    std::map<std::vector<std::uint64_t>, int> drawn;
    constexpr int kDraws = 24'000;
    for (int seed = 0; seed < kDraws; ++seed) {
        const Permutation order(4, static_cast<std::uint64_t>(seed) * 1'000'003U);
        drawn[{order(0), order(1), order(2), order(3)}]++;
    }
    EXPECT_EQ(drawn.size(), 24U);
    // 1,000 each are expected; five standard deviations are 155.
    for (const auto& [order, times] : drawn) EXPECT_NEAR(times, kDraws / 24, 155);
}

TEST(Permutation, NeighboursAreSpreadOverAll) {
    constexpr std::uint64_t kCount = 100'000;
    const Permutation order(kCount, 9);
    // The mean distance of two fair draws is a third of the whole; its error here is below 0.1 %.
    double distance = 0;
    for (std::uint64_t i = 1; i < kCount; ++i) {
        const auto a = static_cast<double>(order(i - 1));
        const auto b = static_cast<double>(order(i));
        distance += a < b ? b - a : a - b;
    }
    EXPECT_NEAR(distance / kCount / kCount, 1.0 / 3.0, 0.004);
    // Each tenth of the places has things of each tenth of the whole alike.
    for (std::uint64_t tenth = 0; tenth < 10; ++tenth) {
        std::vector<int> counts(10);
        for (std::uint64_t i = 0; i < kCount / 10; ++i) {
            ++counts[order(tenth * kCount / 10 + i) * 10 / kCount];
        }
        for (const int count : counts) EXPECT_NEAR(count, 1000, 160);
    }
}

}  // namespace
}  // namespace starling
