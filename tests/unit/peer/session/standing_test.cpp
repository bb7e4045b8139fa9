// Goal: a ghost counts itself in exactly when its model is the best that is there, and gives way for a
// while. Method: views made by hand, and a clock that the test moves.

#include "peer/session/standing.hpp"

#include <gtest/gtest.h>

#include "tests/unit/peer/session/support/small_swarm.hpp"

namespace starling::peer {
namespace {

using namespace std::chrono_literals;

class AStanding : public ::testing::Test {
protected:
    AStanding() {
        inputs_.ghost = true;
        inputs_.whole = true;
    }

    Record& see(const PeerId& id, bool ghost, std::uint64_t learned) {
        for (auto& seen : view_.others) {
            if (seen.id == id) return set(seen, ghost, learned);
        }
        view_.others.emplace_back().id = id;
        return set(view_.others.back(), ghost, learned);
    }

    Record& set(SeenPeer& seen, bool ghost, std::uint64_t learned) {
        if (!seen.record) seen.record.emplace();
        seen.record->state = PeerState::Training;
        seen.record->ghost = ghost;
        seen.record->learned = learned;
        return *seen.record;
    }

    /// Looks ten times a second until something is to be done.
    StandingStep look_for(Duration duration) {
        const Instant until = now_ + duration;
        while (true) {
            const auto step = standing_.advance(now_, inputs_, view_);
            if (step == StandingStep::CountIn) inputs_.ghost = false;
            if (step == StandingStep::StandAside) inputs_.ghost = true;
            if (step != StandingStep::None || now_ >= until) return step;
            now_ += 100ms;
        }
    }

    static constexpr auto kNone = StandingStep::None;
    static constexpr auto kCountIn = StandingStep::CountIn;
    static constexpr auto kStandAside = StandingStep::StandAside;

    Standing standing_{kSelf};
    Standing::Inputs inputs_;
    SwarmView view_;
    Instant now_{};
};

TEST_F(AStanding, OfAGhostAloneCountsItselfInAfterAWhile) {
    standing_.begin(1000, 10);
    EXPECT_EQ(look_for(Standing::kLeadWait - 100ms), kNone);
    EXPECT_EQ(look_for(200ms), kCountIn);
    EXPECT_EQ(look_for(300s), kNone);
}

TEST_F(AStanding, OfAGhostWaitsWhileItsParametersAreNotWhole) {
    standing_.begin(1000, 10);
    inputs_.whole = false;
    EXPECT_EQ(look_for(60s), kNone);
}

TEST_F(AStanding, OfTheGhostThatHasLearnedTheMostGoesFirst) {
    standing_.begin(1000, 10);
    see(peer_id(1), true, 999);
    EXPECT_EQ(look_for(Standing::kLeadWait + 100ms), kCountIn);
}

TEST_F(AStanding, OfAGhostWithLessWaitsForTheOneWithMoreAndNotForEver) {
    standing_.begin(1000, 10);
    see(peer_id(1), true, 1001);
    EXPECT_EQ(look_for(Standing::kNobodyMax - 200ms), kNone);
    EXPECT_EQ(look_for(300ms), kCountIn) << "that one may be a liar, or hang";
}

TEST_F(AStanding, OnATieTheLowerIdGoesFirst) {
    standing_.begin(1000, 10);
    see(peer_id(1), true, 1000);
    see(peer_id(200), true, 1000);
    const bool lowest = kSelf < peer_id(1) && kSelf < peer_id(200);
    EXPECT_EQ(look_for(5s), lowest ? kCountIn : kNone);
    view_.others.erase(view_.others.begin());
    EXPECT_EQ(look_for(5s), kSelf < peer_id(200) ? kCountIn : kNone);
}

TEST_F(AStanding, AGhostPullsFromThoseThatCountUnlessAllOfThemAreClearlyBehind) {
    standing_.begin(1000, 10);
    see(peer_id(1), false, 1200);
    EXPECT_EQ(look_for(60s), kNone);
    // What it may have learned since it said so counts for it.
    see(peer_id(1), false, 950).samples_per_s = 10;
    view_.records_every = 10s;
    EXPECT_EQ(look_for(60s), kNone);
    EXPECT_TRUE(standing_.shunned().empty());
    see(peer_id(1), false, 850);
    EXPECT_EQ(look_for(1s), kCountIn);
}

std::vector<PeerId> list(std::span<const PeerId> ids) {
    return {ids.begin(), ids.end()};
}

TEST_F(AStanding, OfWhomAGhostDoesNotPull) {
    standing_.begin(1000, 10);
    see(peer_id(1), false, 900);
    see(peer_id(2), false, 1100);
    see(peer_id(3), true, 5000);
    EXPECT_EQ(look_for(1s), kNone);
    EXPECT_EQ(list(standing_.ghosts()), std::vector{peer_id(3)});
    EXPECT_EQ(list(standing_.shunned()), std::vector{peer_id(1)});
}

TEST_F(AStanding, WhoHasJustComeBackAveragesWithNobodyThatIsClearlyBehind) {
    standing_.begin(1000, 10);
    see(peer_id(1), false, 900);
    EXPECT_EQ(look_for(1s), kCountIn);
    EXPECT_EQ(look_for(1s), kNone);
    EXPECT_EQ(list(standing_.shunned()), std::vector{peer_id(1)});
    see(peer_id(1), true, 900);
    EXPECT_EQ(look_for(1s), kNone);
    EXPECT_TRUE(standing_.shunned().empty());
    see(peer_id(1), false, 1000);
    EXPECT_EQ(look_for(1s), kNone);
    EXPECT_TRUE(standing_.shunned().empty()) << "it has pulled from us";
    see(peer_id(2), false, 10);
    EXPECT_EQ(look_for(1s), kNone);
    EXPECT_EQ(list(standing_.shunned()), std::vector{peer_id(2)});
    EXPECT_EQ(look_for(Standing::kYieldMax), kNone);
    EXPECT_TRUE(standing_.shunned().empty()) << "it gives way no more";
}

TEST_F(AStanding, WhoHasCountedItselfInGivesWayToOneThatHasMoreForAMinute) {
    standing_.begin(1000, 10);
    EXPECT_EQ(look_for(5s), kCountIn);
    see(peer_id(1), true, 2000);
    EXPECT_EQ(look_for(5s), kNone) << "it counts not yet";
    see(peer_id(1), false, 2000);
    EXPECT_EQ(look_for(5s), kStandAside);
    EXPECT_EQ(look_for(300s), kNone) << "it pulls";
    EXPECT_EQ(standing_.learned(), 1000U) << "what a ghost trains is not kept";
    inputs_.ghost = false;
    EXPECT_EQ(look_for(1s), kNone);
    EXPECT_EQ(standing_.learned(), 2000U);
}

TEST_F(AStanding, WhoHasPulledFromOneThatGivesWayGivesWayToo) {
    standing_.begin(1000, 10);
    see(peer_id(1), false, 1500);
    EXPECT_EQ(look_for(5s), kNone);
    inputs_.ghost = false;
    EXPECT_EQ(look_for(5s), kNone);
    EXPECT_EQ(standing_.learned(), 1500U);
    // The other one has heard of more, which it may have learned since its last record.
    see(peer_id(1), false, 1590).samples_per_s = 10;
    view_.records_every = 10s;
    EXPECT_EQ(look_for(5s), kNone);
    see(peer_id(2), false, 9000);
    EXPECT_EQ(look_for(1s), kStandAside);
}

TEST_F(AStanding, AfterAMinuteTwoSwarmsAverage) {
    standing_.begin(1000, 10);
    EXPECT_EQ(look_for(5s), kCountIn);
    EXPECT_EQ(look_for(Standing::kYieldMax + 1s), kNone);
    see(peer_id(1), false, 2000);
    EXPECT_EQ(look_for(60s), kNone);
}

TEST_F(AStanding, OfAFounderNeverGivesWay) {
    inputs_.ghost = false;
    EXPECT_EQ(look_for(1s), kNone);
    see(peer_id(1), false, 2000);
    EXPECT_EQ(look_for(60s), kNone);
}

TEST_F(AStanding, WhoBeganFromTheSeedGivesWayToWhoComesWithAModel) {
    inputs_.ghost = false;
    standing_.begin_from_seed(now_);
    EXPECT_EQ(look_for(5s), kNone);
    see(peer_id(1), false, 1);
    EXPECT_EQ(look_for(5s), kStandAside);
}

TEST_F(AStanding, TwoThatGiveWayNeverGiveWayToEachOther) {
    // Records are older than what their owners know, so at most one of two finds the other ahead.
    for (std::uint64_t ours = 995; ours < 1005; ++ours) {
        Standing a(kSelf);
        Standing b(peer_id(1));
        a.begin(ours, 0);
        b.begin(1000, 0);
        Standing::Inputs alone{true, true, false, 0};
        const SwarmView nobody;
        for (auto* one : {&a, &b}) {
            (void)one->advance(Instant{}, alone, nobody);
            EXPECT_EQ(one->advance(Instant{} + 2s, alone, nobody), kCountIn);
        }
        view_.others.clear();
        see(peer_id(1), false, 1000);
        Standing::Inputs counts{false, true, false, 0};
        const bool a_yields = a.advance(Instant{} + 3s, counts, view_) == kStandAside;
        view_.others.clear();
        see(kSelf, false, ours);
        const bool b_yields = b.advance(Instant{} + 3s, counts, view_) == kStandAside;
        EXPECT_EQ(a_yields, ours < 1000) << ours;
        EXPECT_EQ(b_yields, ours > 1000) << ours;
    }
}

TEST_F(AStanding, WhatIsLearnedCountsTheSamplesOfAllThatCount) {
    inputs_.ghost = false;
    inputs_.samples = 10;
    see(peer_id(1), false, 0).samples = 100;
    see(peer_id(2), true, 0).samples = 1000;
    EXPECT_EQ(look_for(0s), kNone);
    const auto at_first = standing_.learned();
    inputs_.samples = 15;
    see(peer_id(1), false, 0).samples = 120;
    see(peer_id(2), true, 0).samples = 1500;
    see(peer_id(3), false, 0).samples = 7000;
    EXPECT_EQ(look_for(0s), kNone);
    EXPECT_EQ(standing_.learned(), at_first + 5 + 20) << "who has just come brings nothing";
    see(peer_id(3), false, 0).samples = 7001;
    EXPECT_EQ(look_for(0s), kNone);
    EXPECT_EQ(standing_.learned(), at_first + 5 + 20 + 1);
}

TEST_F(AStanding, ANewcomerHasLearnedWhatItsDonorsHave) {
    inputs_.whole = false;
    inputs_.fetching = true;
    see(peer_id(1), false, 500);
    see(peer_id(2), false, 400);
    EXPECT_EQ(look_for(1s), kNone);
    EXPECT_EQ(standing_.learned(), 500U);
}

TEST_F(AStanding, AnOlderReleaseSaysNothingAndIsNotThoughtToBeBehind) {
    standing_.begin(1000, 10);
    see(peer_id(1), false, 0).samples = 50;
    EXPECT_EQ(look_for(60s), kNone);
    EXPECT_TRUE(standing_.shunned().empty());
}

TEST_F(AStanding, ACheckpointOfAnOlderReleaseHasAtLeastItsOwnSamples) {
    standing_.begin(0, 700);
    EXPECT_EQ(standing_.learned(), 700U);
}

TEST_F(AStanding, ALiarDoesNotMakeItOverflow) {
    standing_.begin(kLearnedMax, 0);
    inputs_.ghost = false;
    EXPECT_EQ(look_for(0s), kNone);
    inputs_.samples = ~std::uint64_t{0};
    EXPECT_EQ(look_for(0s), kNone);
    EXPECT_LE(standing_.learned(), kLearnedMax);
}

}  // namespace
}  // namespace starling::peer
