// Goal: the choice of partners is fair, and a partner that declined is left alone for a moment.
// Method: counts over seeded draws against the binomial spread; back-offs over virtual time.

#include "gossip/partner_choice.hpp"

#include <array>
#include <cmath>
#include <gtest/gtest.h>
#include <map>
#include <set>

namespace starling::gossip {
namespace {

using std::chrono::milliseconds;

PeerId peer(std::uint8_t number) {
    PeerId id;
    id.bytes[0] = number;
    return id;
}

TEST(PartnerChoice, DrawsUniformly) {
    constexpr int kPeers = 10;
    constexpr int kDraws = 20000;
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
        SCOPED_TRACE(testing::Message() << "seed " << seed);
        PartnerChoice choice;
        for (std::uint8_t i = 0; i < kPeers; ++i) choice.add(peer(i));
        Rng rng(seed);
        std::map<PeerId, int> drawn;
        for (int i = 0; i < kDraws; ++i) ++drawn[*choice.choose({}, rng)];
        const double mean = double{kDraws} / kPeers;
        const double sigma = std::sqrt(mean * (1.0 - 1.0 / kPeers));
        for (std::uint8_t i = 0; i < kPeers; ++i) {
            EXPECT_NEAR(drawn[peer(i)], mean, 4.5 * sigma);
        }
    }
}

TEST(PartnerChoice, BusyPartnersAreNotStarved) {
    PartnerChoice choice;
    for (std::uint8_t i = 0; i < 8; ++i) choice.add(peer(i));
    Rng rng(3);
    Instant now{};
    std::map<PeerId, int> drawn;
    for (int i = 0; i < 4000; ++i) {
        now += milliseconds(50);
        const auto chosen = choice.choose(now, rng);
        ASSERT_TRUE(chosen);
        ++drawn[*chosen];
        if (rng.chance(0.7)) {
            choice.was_busy(now, *chosen);
        } else {
            choice.succeeded(now, *chosen);
        }
    }
    for (std::uint8_t i = 0; i < 8; ++i) EXPECT_GT(drawn[peer(i)], 400);
}

TEST(PartnerChoice, BusyPartnersComeFirstOnceTheyHaveRested) {
    PartnerChoice choice;
    for (std::uint8_t i = 0; i < 8; ++i) choice.add(peer(i));
    Rng rng(5);
    Instant now{};
    choice.was_busy(now, peer(3));
    choice.was_busy(now, peer(6));
    EXPECT_NE(choice.choose(now, rng), peer(3)) << "it rests";
    now += kBusyBackoff;
    std::set<PeerId> first;
    for (int i = 0; i < 50; ++i) first.insert(*choice.choose(now, rng));
    EXPECT_EQ(first, (std::set{peer(3), peer(6)}));
    choice.succeeded(now, peer(3));
    choice.failed(now, peer(6));
    now += kFailureBackoff;
    first.clear();
    for (int i = 0; i < 200; ++i) first.insert(*choice.choose(now, rng));
    EXPECT_EQ(first.size(), 8U) << "nobody is owed anything";
}

TEST(PartnerChoice, OneThatIsAlwaysBusyKeepsNobodyFromTheOthers) {
    PartnerChoice choice;
    for (std::uint8_t i = 0; i < 11; ++i) choice.add(peer(i));
    Rng rng(7);
    Instant now{};
    int met = 0;
    for (int i = 0; i < 1000; ++i) {
        now += milliseconds(400);
        const auto chosen = choice.choose(now, rng);
        ASSERT_TRUE(chosen);
        if (*chosen == peer(4)) {
            choice.was_busy(now, *chosen);
        } else {
            choice.succeeded(now, *chosen);
            ++met;
        }
    }
    EXPECT_GT(met, 850);
}

TEST(PartnerChoice, BackoffGrowsEndsAndIsForgottenAfterSuccess) {
    PartnerChoice choice;
    choice.add(peer(1));
    Rng rng(1);
    Instant now{};
    const auto available = [&](Duration later) {
        return choice.choose(now + later, rng).has_value();
    };
    choice.was_busy(now, peer(1));
    EXPECT_FALSE(available(kBusyBackoff - milliseconds(1)));
    EXPECT_TRUE(available(kBusyBackoff));
    choice.was_busy(now, peer(1));
    EXPECT_FALSE(available(kBusyBackoff));
    EXPECT_TRUE(available(2 * kBusyBackoff));
    choice.succeeded(now, peer(1));
    EXPECT_TRUE(available(Duration::zero()));
    for (int i = 0; i < 100; ++i) choice.failed(now, peer(1));
    EXPECT_FALSE(available(kFailureBackoffMax - milliseconds(1)));
    EXPECT_TRUE(available(kFailureBackoffMax));
    choice.refused(now, peer(1));
    EXPECT_FALSE(available(kRefusalBackoff - milliseconds(1)));
    EXPECT_TRUE(available(kRefusalBackoff));
}

TEST(PartnerChoice, GoneAndExcludedPartnersAreNeverChosen) {
    PartnerChoice choice;
    choice.add(peer(1));
    choice.add(peer(1));
    choice.add(peer(2));
    EXPECT_EQ(choice.size(), 2U);
    Rng rng(1);
    const std::array first{peer(1)};
    for (int i = 0; i < 50; ++i) EXPECT_EQ(choice.choose({}, rng, first), peer(2));
    choice.remove(peer(2));
    EXPECT_FALSE(choice.choose({}, rng, first));
    choice.failed({}, peer(2));  // unknown by now
    choice.remove(peer(1));
    EXPECT_FALSE(choice.choose({}, rng));
}

TEST(PartnerChoice, ASuccessTakesOneStrikeAwayAndNotAll) {
    PartnerChoice partners(3);
    PeerId other;
    other.bytes[0] = 1;
    Instant now{};
    for (int i = 0; i < 2; ++i) partners.struck(now, other);
    partners.succeeded(now, other);
    partners.struck(now, other);
    EXPECT_FALSE(partners.barred(now, other));
    partners.struck(now, other);
    EXPECT_TRUE(partners.barred(now, other));
    now += kBarred;
    EXPECT_FALSE(partners.barred(now, other));
    for (int i = 0; i < 3; ++i) partners.succeeded(now, other);
    for (int i = 0; i < 2; ++i) partners.struck(now, other);
    EXPECT_FALSE(partners.barred(now, other)) << "all is forgotten";
}

}  // namespace
}  // namespace starling::gossip
