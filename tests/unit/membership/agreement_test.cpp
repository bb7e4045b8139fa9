// Goal: a difference of tables that lasts leads to one full exchange, one that passes leads to
// none, and exchanges that change nothing become rarer. Method: digests by hand.

#include "membership/agreement.hpp"

#include <gtest/gtest.h>

#include "tests/unit/membership/support/samples.hpp"

namespace starling::membership {
namespace {

constexpr std::uint64_t kOurs = 1;
constexpr std::uint64_t kTheirs = 2;
constexpr Duration kGap = std::chrono::seconds(2);

Instant at(int seconds) {
    return Instant{} + std::chrono::seconds(seconds);
}

std::optional<PeerId> hear_three_times(Agreement& agreement, Instant now) {
    for (int i = 0; i < 3; ++i) agreement.hear(peer(2), kTheirs, kOurs);
    return agreement.take_due(now, kOurs, kGap);
}

TEST(Agreement, DifferenceThatStandsStillForTwoPeriodsAsksForAnExchange) {
    Agreement agreement;
    EXPECT_FALSE(agreement.ask_again().has_value());
    agreement.hear(peer(2), kTheirs, kOurs);
    EXPECT_EQ(agreement.ask_again(), peer(2));
    agreement.hear(peer(2), kTheirs, kOurs);
    EXPECT_FALSE(agreement.take_due(at(1), kOurs, kGap).has_value());
    agreement.hear(peer(2), kTheirs, kOurs);
    EXPECT_EQ(agreement.take_due(at(2), kOurs, kGap), peer(2));
    EXPECT_FALSE(agreement.ask_again().has_value()) << "it was dealt with";
}

TEST(Agreement, EqualDigestEndsTheMatter) {
    Agreement agreement;
    agreement.hear(peer(2), kTheirs, kOurs);
    agreement.hear(peer(2), kTheirs, kOurs);
    agreement.hear(peer(2), kTheirs, kTheirs);
    EXPECT_FALSE(agreement.ask_again().has_value());
    agreement.hear(peer(2), kTheirs, kOurs);
    EXPECT_FALSE(agreement.take_due(at(1), kOurs, kGap).has_value());
}

TEST(Agreement, DifferenceThatMovesIsGivenMoreTime) {
    Agreement agreement;
    for (std::uint64_t i = 0; i < 4; ++i) {
        agreement.hear(peer(2), kTheirs + i, kOurs);
        EXPECT_FALSE(agreement.take_due(at(1), kOurs, kGap).has_value()) << i;
    }
    agreement.hear(peer(2), 9, kOurs);
    EXPECT_TRUE(agreement.take_due(at(1), kOurs, kGap).has_value());
}

TEST(Agreement, ExchangesThatChangeNothingBecomeRare) {
    Agreement agreement;
    int exchanges = 0;
    for (int second = 0; second < 1000; ++second) {
        exchanges += hear_three_times(agreement, at(second)).has_value() ? 1 : 0;
    }
    EXPECT_GT(exchanges, 3);
    EXPECT_LT(exchanges, 25) << "at full rate it would be 500";
}

TEST(Agreement, SilentPeerIsGivenUp) {
    Agreement agreement;
    agreement.hear(peer(2), kTheirs, kOurs);
    int asked = 0;
    while (agreement.ask_again()) ++asked;
    EXPECT_GT(asked, 1);
    EXPECT_LT(asked, 20);
    agreement.hear(peer(3), kTheirs, kOurs);
    EXPECT_EQ(agreement.ask_again(), peer(3));
}

}  // namespace
}  // namespace starling::membership
