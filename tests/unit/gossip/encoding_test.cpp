// Goal: deltas of both sides are exact negatives, and one pass gives the same as naive loops.
// Method: random chunks of many sizes, at every alignment, against a twin in double.

#include "gossip/encoding/encoding.hpp"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <limits>
#include <vector>

#include "base/rng.hpp"

namespace starling::gossip {
namespace {

template <class T>
ByteView view(const std::vector<T>& values) {
    return std::as_bytes(std::span(values));
}

template <class T>
std::span<std::byte> room(std::vector<T>& values) {
    return std::as_writable_bytes(std::span(values));
}

std::vector<float> random_floats(std::size_t count, Rng& rng) {
    std::vector<float> values(count);
    for (auto& value : values) value = static_cast<float>(rng.normal());
    return values;
}

TEST(F32Encoding, MatchesTheNaiveTwinAtEverySizeAndAlignment) {
    const auto& encoding = *find_encoding(Encoding::F32);
    Rng rng(5);
    for (const std::size_t count : {1U, 3U, 7U, 8U, 1023U, 1024U, 1025U, 5000U, 65536U}) {
        SCOPED_TRACE(testing::Message() << count << " elements, seed 5");
        const auto theirs = random_floats(count, rng);
        const auto mine = random_floats(count, rng);
        std::vector<float> delta(count);
        std::vector<std::byte> shifted(count * 4 + 1);
        std::memcpy(shifted.data() + 1, theirs.data(), count * 4);
        const auto result =
            encoding.difference(ByteView(shifted).subspan(1), view(mine), 0.25, room(delta));
        double distance = 0.0;
        double norm = 0.0;
        for (std::size_t i = 0; i < count; ++i) {
            EXPECT_EQ(delta[i], 0.25F * (theirs[i] - mine[i]));
            distance += std::pow(double{theirs[i]} - double{mine[i]}, 2);
            norm += std::pow(double{mine[i]}, 2);
        }
        EXPECT_TRUE(result.finite);
        EXPECT_NEAR(result.squared_distance, distance, 1e-5 * distance);
        EXPECT_NEAR(result.squared_norm, norm, 1e-5 * norm);
    }
}

TEST(F32Encoding, BothSidesAddExactNegativesAlsoInPlace) {
    const auto& encoding = *find_encoding(Encoding::F32);
    Rng rng(6);
    const auto a = random_floats(3000, rng);
    const auto b = random_floats(3000, rng);
    std::vector<float> for_a = a;
    std::vector<float> for_b = b;
    (void)encoding.difference(view(b), view(for_a), 0.3, room(for_a));
    (void)encoding.difference(view(a), view(for_b), 0.3, room(for_b));
    for (std::size_t i = 0; i < a.size(); ++i) EXPECT_EQ(for_a[i], -for_b[i]);
}

TEST(F32Encoding, NoticesEveryValueThatIsNotFinite) {
    const auto& encoding = *find_encoding(Encoding::F32);
    using Limits = std::numeric_limits<float>;
    for (const std::size_t at : {0U, 1023U, 1024U, 2999U}) {
        for (const float bad : {Limits::quiet_NaN(), Limits::infinity(), -Limits::infinity()}) {
            const std::vector<float> good(3000, 1.0F);
            std::vector<float> poisoned = good;
            poisoned[at] = bad;
            std::vector<float> delta(3000);
            EXPECT_FALSE(encoding.difference(view(poisoned), view(good), 0.5, room(delta)).finite);
            EXPECT_FALSE(encoding.difference(view(good), view(poisoned), 0.5, room(delta)).finite);
        }
    }
    const std::vector<float> huge(4, Limits::max());
    const std::vector<float> low(4, Limits::lowest());
    std::vector<float> delta(4);
    EXPECT_FALSE(encoding.difference(view(huge), view(low), 0.5, room(delta)).finite);
    EXPECT_TRUE(encoding.difference(view(huge), view(huge), 0.5, room(delta)).finite);
}

TEST(Exact64Encoding, KeepsTheSumAndEndsWithinOne) {
    const auto& encoding = *find_encoding(Encoding::Exact64);
    Rng rng(7);
    for (int round = 0; round < 2000; ++round) {
        std::vector<std::int64_t> a{static_cast<std::int64_t>(rng.next()) >> rng.below(60)};
        std::vector<std::int64_t> b{static_cast<std::int64_t>(rng.next()) >> rng.below(60)};
        a[0] /= 4;
        b[0] /= 4;
        std::vector<std::int64_t> for_a(1);
        std::vector<std::int64_t> for_b(1);
        EXPECT_TRUE(encoding.difference(view(b), view(a), 0.5, room(for_a)).finite);
        EXPECT_TRUE(encoding.difference(view(a), view(b), 0.5, room(for_b)).finite);
        EXPECT_EQ(for_a[0], -for_b[0]);
        EXPECT_LE(std::abs((a[0] + for_a[0]) - (b[0] + for_b[0])), 1);
    }
}

TEST(Exact64Encoding, RefusesADifferenceThatOverflows) {
    const auto& encoding = *find_encoding(Encoding::Exact64);
    const std::vector<std::int64_t> high{std::numeric_limits<std::int64_t>::max()};
    const std::vector<std::int64_t> low{-2};
    std::vector<std::int64_t> delta(1);
    EXPECT_FALSE(encoding.difference(view(high), view(low), 0.5, room(delta)).finite);
}

TEST(Encoding, UnknownOnesAreNotFound) {
    EXPECT_EQ(find_encoding(static_cast<Encoding>(200)), nullptr);
}

}  // namespace
}  // namespace starling::gossip
