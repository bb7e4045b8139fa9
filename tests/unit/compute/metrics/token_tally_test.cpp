// Goal: nats, tokens and bytes give loss, perplexity and bits per byte.
// Method: values by hand, and the cross entropies of a ClassTally.

#include "compute/metrics/token_tally.hpp"

#include "compute/metrics/class_tally.hpp"
#include "compute/metrics/packing.hpp"
#include "tests/unit/compute/metrics/tally_fixture.hpp"

namespace starling::compute {
namespace {

TEST(TokenTally, BitsOfATextAreShared) {
    TokenTally tally;
    // 8 tokens of 2 bits each stand for 4 bytes.
    ASSERT_TRUE(tally.add_sum(8.0 * std::log(4.0), 8, 4).has_value());
    EXPECT_NEAR(*tally.loss(), std::log(4.0), 1e-12);
    EXPECT_NEAR(*tally.perplexity(), 4.0, 1e-12);
    EXPECT_NEAR(*tally.bits_per_byte(), 4.0, 1e-12);
}

TEST(TokenTally, RowsHaveTheLossOfClasses) {
    Rng rng(1);
    const auto rows = random_rows(rng, 100, 20);
    TokenTally tally;
    ClassTally classes(20);
    ASSERT_TRUE(tally.add(rows.view(), 250).has_value());
    ASSERT_TRUE(classes.add(rows.view()).has_value());
    EXPECT_EQ(tally.loss(), classes.loss());
    EXPECT_EQ(tally.count(), 100U);
    EXPECT_EQ(tally.bytes(), 250U);
}

TEST(TokenTally, WhatIsUnknownIsEmpty) {
    TokenTally tally;
    EXPECT_FALSE(tally.loss() || tally.perplexity() || tally.bits_per_byte());
    expect_sound_codec(tally);
    ASSERT_TRUE(tally.add_sum(1.0, 1, 0).has_value());
    EXPECT_TRUE(tally.loss().has_value());
    EXPECT_FALSE(tally.bits_per_byte().has_value());
}

TEST(TokenTally, ImpossibleSumsAreRefused) {
    TokenTally tally;
    EXPECT_TRUE(tally.add_sum(std::nan(""), 1, 1).has_error());
    EXPECT_TRUE(tally.add_sum(HUGE_VAL, 1, 1).has_error());
    EXPECT_TRUE(tally.add_sum(-0.5, 1, 1).has_error());
    EXPECT_TRUE(tally.add_sum(0.5, 0, 1).has_error());
    EXPECT_TRUE(tally.add_sum(1e300, 1, 1).has_error());
    EXPECT_TRUE(tally.add_sum(0.5, kCountMax + 1, 1).has_error());
    Rng rng(2);
    auto rows = random_rows(rng, 3, 4);
    rows.scores[2] = std::nanf("");
    EXPECT_TRUE(tally.add(rows.view(), 3).has_error());
    EXPECT_EQ(tally, TokenTally());
    ASSERT_TRUE(tally.add_sum(0.5, kCountMax, 1).has_value());
    EXPECT_TRUE(tally.merge(tally).has_error());
}

TEST(TokenTally, PartsMergeInAnyOrder) {
    Rng rng(3);
    std::vector<TokenTally> parts;
    TokenTally whole;
    for (int i = 0; i < 8; ++i) {
        const auto nats = rng.exponential(3.0);
        parts.emplace_back();
        ASSERT_TRUE(parts.back().add_sum(nats, 10, 30).has_value());
        ASSERT_TRUE(whole.add_sum(nats, 10, 30).has_value());
    }
    expect_any_order(parts, whole);
    expect_sound_codec(whole);
}

}  // namespace
}  // namespace starling::compute
