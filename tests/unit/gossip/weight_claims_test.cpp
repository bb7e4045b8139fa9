// Goal: an honest peer is always believed, one whose weight jumps is not. Method: random schedules of
// honest changes, heard late and seldom; a liar that changes each second.

#include "gossip/weight_claims.hpp"

#include <gtest/gtest.h>

#include "base/rng.hpp"

namespace starling::gossip {
namespace {

PeerId peer(std::uint16_t number) {
    PeerId id;
    id.bytes[0] = static_cast<std::uint8_t>(number & 255U);
    id.bytes[1] = static_cast<std::uint8_t>(number >> 8U);
    return id;
}

TEST(WeightClaims, AnHonestPeerIsBelievedHoweverSeldomWeMeet) {
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        Rng rng(seed);
        WeightClaims claims;
        double changes = 60.0 * rng.uniform();
        double now = 0.0;
        std::int8_t weight = 0;
        const double rarely = 1.0 + 200.0 * rng.uniform();
        for (int meetings = 0; meetings < 300; ++meetings) {
            now += rng.exponential(rarely);
            while (changes <= now) {
                weight = static_cast<std::int8_t>(rng.below(8));
                changes += 60.0 + (rng.chance(0.5) ? 0.0 : 100.0 * rng.uniform());
            }
            ASSERT_TRUE(claims.note(Instant{} + from_seconds(now), peer(1), weight))
                << "seed " << seed << " at " << now;
            ASSERT_EQ(claims.of(peer(1)), weight);
        }
    }
}

TEST(WeightClaims, OneThatChangesEachSecondIsNotBelievedUntilItKeepsStill) {
    WeightClaims claims;
    Instant now{};
    int believed = 0;
    for (int second = 0; second < 600; ++second) {
        now += std::chrono::seconds(1);
        if (claims.note(now, peer(1), static_cast<std::int8_t>(second % 100))) ++believed;
    }
    // The first, two changes at once, and one in 55 s.
    EXPECT_LE(believed, 3 + 600 / 55);
    EXPECT_TRUE(claims.distrusts(peer(1)));
    EXPECT_EQ(claims.of(peer(1)), std::nullopt);
    EXPECT_FALSE(claims.distrusts(peer(2))) << "nothing is held against others";
    now += std::chrono::seconds(120);
    EXPECT_TRUE(claims.note(now, peer(1), 5));
    EXPECT_FALSE(claims.distrusts(peer(1)));
}

TEST(WeightClaims, OnlySoManyAreRemembered) {
    WeightClaims claims;
    Instant now{};
    for (std::uint16_t i = 0; i <= kClaimsMax; ++i) {
        now += std::chrono::seconds(1);
        EXPECT_TRUE(claims.note(now, peer(i), 3));
    }
    EXPECT_EQ(claims.of(peer(0)), std::nullopt) << "heard longest ago";
    EXPECT_EQ(claims.of(peer(1)), 3);
    EXPECT_EQ(claims.of(peer(kClaimsMax)), 3);
}

}  // namespace
}  // namespace starling::gossip
