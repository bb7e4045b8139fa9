// Goal: who breaks the protocol again and again is barred, and nobody for ever. Method: time that the test
// makes.

#include "peer/streams/strikes.hpp"

#include <gtest/gtest.h>

namespace starling::peer {
namespace {

PeerId peer(std::uint16_t n) {
    PeerId id;
    id.bytes[0] = static_cast<std::uint8_t>(n);
    id.bytes[1] = static_cast<std::uint8_t>(n >> 8U);
    return id;
}

constexpr Instant kStart = Instant{} + std::chrono::hours(10);

TEST(Strikes, TheThirdBarsForAMinuteAndTheFourthForTwo) {
    Strikes strikes;
    Instant now = kStart;
    EXPECT_FALSE(strikes.strike(now, peer(1)));
    EXPECT_FALSE(strikes.strike(now, peer(1)));
    EXPECT_FALSE(strikes.barred(now, peer(1)));
    EXPECT_TRUE(strikes.strike(now, peer(1)));
    EXPECT_TRUE(strikes.barred(now, peer(1)));
    EXPECT_FALSE(strikes.barred(now, peer(2)));
    now += Strikes::kBarred;
    EXPECT_FALSE(strikes.barred(now, peer(1)));
    EXPECT_TRUE(strikes.strike(now, peer(1)));
    EXPECT_TRUE(strikes.barred(now + Strikes::kBarred, peer(1)));
    EXPECT_FALSE(strikes.barred(now + 2 * Strikes::kBarred, peer(1)));
}

TEST(Strikes, ABarIsAnHourAtMostAndAnHourOfPeaceIsEnough) {
    Strikes strikes;
    Instant now = kStart;
    for (int i = 0; i < 100; ++i) strikes.strike(now, peer(1));
    EXPECT_TRUE(strikes.barred(now + Strikes::kBarredMax - std::chrono::seconds(1), peer(1)));
    EXPECT_FALSE(strikes.barred(now + Strikes::kBarredMax, peer(1)));
    now += Strikes::kBarredMax + std::chrono::seconds(1);
    EXPECT_FALSE(strikes.strike(now, peer(1)));
}

TEST(Strikes, InventedPeersDoNotMakeAnotherForgottenThatStrikesOn) {
    Strikes strikes;
    Instant now = kStart;
    for (int i = 0; i < 3; ++i) strikes.strike(now, peer(0));
    for (std::uint16_t i = 1; i < Strikes::kPeersMax; ++i) {
        now += std::chrono::milliseconds(1);
        strikes.strike(now, peer(i));
    }
    EXPECT_TRUE(strikes.barred(now, peer(0)));
    strikes.strike(now, peer(5000));
    EXPECT_FALSE(strikes.barred(now, peer(0))) << "memory has a bound";
}

}  // namespace
}  // namespace starling::peer
