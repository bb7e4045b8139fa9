// Goal: a peer whose training has diverged waits, asks, resumes or gives up at the right moment.
// Method: the state machine alone, with a clock that the tests set.

#include "peer/session/recovery.hpp"

#include <gtest/gtest.h>

namespace starling::peer {
namespace {

using std::chrono::seconds;

constexpr Instant kStart = Instant{} + seconds(1000);

/// Runs a recovery to its end.
void recover(Recovery& recovery, std::uint64_t steps) {
    ASSERT_TRUE(recovery.begin(kStart, steps, RecoveryCause::Diverged));
    ASSERT_EQ(recovery.advance(kStart, {}), RecoveryStep::Fetch);
    ASSERT_EQ(recovery.advance(kStart, {.chunks = 1, .complete = true}), RecoveryStep::Resume);
}

TEST(Recovery, DoesNothingBeforeItBegins) {
    Recovery recovery;
    EXPECT_FALSE(recovery.running());
    EXPECT_EQ(recovery.advance(kStart, {.complete = true}), RecoveryStep::None);
    EXPECT_EQ(recovery.done(), 0U);
}

TEST(Recovery, FetchesOnceNoExchangeIsUnderWayAndResumesWithTheLastChunk) {
    Recovery recovery;
    ASSERT_TRUE(recovery.begin(kStart, 70, RecoveryCause::Diverged));
    EXPECT_TRUE(recovery.running());
    // It waits as long as the exchange takes, which has a deadline of its own.
    const Instant later = kStart + seconds(60);
    EXPECT_EQ(recovery.advance(later, {.in_use = true}), RecoveryStep::None);
    EXPECT_EQ(recovery.advance(later, {}), RecoveryStep::Fetch);
    EXPECT_EQ(recovery.advance(later, {.chunks = 3}), RecoveryStep::None);
    EXPECT_EQ(recovery.done(), 0U);
    EXPECT_EQ(recovery.advance(later, {.chunks = 4, .complete = true}), RecoveryStep::Resume);
    EXPECT_FALSE(recovery.running());
    EXPECT_EQ(recovery.done(), 1U);
}

TEST(Recovery, GivesUpWhenNoChunkHasComeForTooLong) {
    Recovery recovery;
    ASSERT_TRUE(recovery.begin(kStart, 70, RecoveryCause::Diverged));
    ASSERT_EQ(recovery.advance(kStart, {}), RecoveryStep::Fetch);
    Instant now = kStart;
    // Slow donors are no reason to give up.
    for (std::size_t chunk = 1; chunk < 10; ++chunk) {
        now += Recovery::kPatience;
        EXPECT_EQ(recovery.advance(now, {.chunks = chunk}), RecoveryStep::None);
    }
    now += Recovery::kPatience;
    EXPECT_EQ(recovery.advance(now, {.chunks = 9}), RecoveryStep::None);
    EXPECT_EQ(recovery.advance(now + Duration(1), {.chunks = 9}), RecoveryStep::GiveUp);
}

TEST(Recovery, WhatIsMerelyAccusedTrainsOnWhereNobodyGives) {
    Recovery recovery;
    ASSERT_TRUE(recovery.begin(kStart, 70, RecoveryCause::Accused));
    ASSERT_EQ(recovery.advance(kStart, {}), RecoveryStep::Fetch);
    EXPECT_EQ(recovery.advance(kStart + Recovery::kPatience, {}), RecoveryStep::None);
    EXPECT_EQ(recovery.advance(kStart + 2 * Recovery::kPatience, {}), RecoveryStep::Resume);
    EXPECT_FALSE(recovery.running());
}

TEST(Recovery, AccusationsUseUpNoAttemptsOfDivergence) {
    Recovery recovery;
    for (std::uint32_t i = 0; i < Recovery::kAttemptsMax; ++i) {
        ASSERT_TRUE(recovery.begin(kStart, 100, RecoveryCause::Accused));
    }
    EXPECT_FALSE(recovery.begin(kStart, 100, RecoveryCause::Accused));
    EXPECT_TRUE(recovery.begin(kStart, 100, RecoveryCause::Diverged));
}

TEST(Recovery, IsNotTriedForEver) {
    Recovery recovery;
    for (std::uint32_t i = 0; i < Recovery::kAttemptsMax; ++i) recover(recovery, 100 + i);
    EXPECT_FALSE(recovery.begin(kStart, 110, RecoveryCause::Diverged));
    EXPECT_FALSE(recovery.running());
    EXPECT_EQ(recovery.done(), Recovery::kAttemptsMax);
}

gossip::ExchangeEvent ended(std::uint8_t partner, gossip::Outcome outcome) {
    gossip::ExchangeEvent event;
    event.partner.bytes[0] = partner;
    event.outcome = outcome;
    return event;
}

TEST(Recovery, ThreePartnersInARowThatFindFaultAreRight) {
    using gossip::Outcome;
    Recovery recovery;
    EXPECT_EQ(recovery.judge(ended(1, Outcome::Violated), 7), std::nullopt);
    EXPECT_EQ(recovery.judge(ended(2, Outcome::Violated), 7), std::nullopt);
    // A partner that accuses us twice counts once.
    EXPECT_EQ(recovery.judge(ended(2, Outcome::Violated), 7), std::nullopt);
    EXPECT_EQ(recovery.judge(ended(3, Outcome::TimedOut), 7), std::nullopt);
    EXPECT_EQ(recovery.judge(ended(3, Outcome::Committed), 7), std::nullopt);
    EXPECT_EQ(recovery.judge(ended(4, Outcome::Violated), 7), std::nullopt);
    EXPECT_EQ(recovery.judge(ended(5, Outcome::Violated), 7), std::nullopt);
    EXPECT_EQ(recovery.judge(ended(6, Outcome::Violated), 7), RecoveryCause::Accused);
    // Accusations during a recovery count for nothing.
    ASSERT_TRUE(recovery.begin(kStart, 70, RecoveryCause::Diverged));
    EXPECT_EQ(recovery.judge(ended(6, Outcome::Violated), 7), std::nullopt);
}

TEST(Recovery, FewerPartnersMustAllFindFault) {
    using gossip::Outcome;
    Recovery recovery;
    EXPECT_EQ(recovery.judge(ended(1, Outcome::Violated), 2), std::nullopt);
    EXPECT_EQ(recovery.judge(ended(2, Outcome::Violated), 2), RecoveryCause::Accused);
    Recovery other;
    EXPECT_EQ(other.judge(ended(1, Outcome::Violated), 1), RecoveryCause::Accused);
}

TEST(Recovery, APartnerThatWeFoundFaultWithIsNoWitnessAndOurOwnNaNIsProof) {
    using gossip::Outcome;
    Recovery recovery;
    auto event = ended(1, Outcome::Violated);
    event.misdeed = gossip::Misdeed::Norm;
    EXPECT_EQ(recovery.judge(event, 1), std::nullopt);
    event.misdeed = gossip::Misdeed::Own;
    EXPECT_EQ(recovery.judge(event, 7), RecoveryCause::Diverged);
}

TEST(Recovery, ASteadyWhileInBetweenForgivesWhatWasBefore) {
    Recovery recovery;
    std::uint64_t steps = 100;
    for (std::uint32_t i = 0; i < 4 * Recovery::kAttemptsMax; ++i) {
        recover(recovery, steps);
        steps += Recovery::kSteadySteps;
    }
    EXPECT_EQ(recovery.done(), 4 * Recovery::kAttemptsMax);
}

}  // namespace
}  // namespace starling::peer
