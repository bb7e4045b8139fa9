// Goal: the actions of chaos come in their order, each one once, and never before all peers train.
// Method: the plan gets made-up views and a made-up time.

#include "peer/fleet/chaos.hpp"

#include <gtest/gtest.h>
#include <vector>

namespace starling::peer {
namespace {

constexpr Instant kStart{};
using Kind = ChaosAction::Kind;

std::vector<PeerView> training_peers(std::size_t count) {
    std::vector<PeerView> peers(count);
    for (std::size_t i = 0; i < count; ++i) {
        peers[i].index = i + 1;
        peers[i].id = "id" + std::to_string(i + 1);
        peers[i].listen = "127.0.0.1:" + std::to_string(7000 + i);
        peers[i].state = "training";
        peers[i].steps = kChaosSteps;
        peers[i].shards = 4;
    }
    return peers;
}

TEST(ChaosPlan, NothingHappensBeforeEveryPeerMadeItsSteps) {
    ChaosPlan plan({true, true}, 3);
    auto peers = training_peers(2);
    EXPECT_FALSE(plan.poll_action(kStart, peers));  // the third peer has not started yet
    peers = training_peers(3);
    peers[2].steps = kChaosSteps - 1;
    EXPECT_FALSE(plan.poll_action(kStart, peers));
    peers[2].steps = kChaosSteps;
    peers[1].state = "settling";
    EXPECT_FALSE(plan.poll_action(kStart, peers));
    EXPECT_EQ(plan.missing(), "founder-crash");
}

TEST(ChaosPlan, PeerWithoutShardsNeedsNoSteps) {
    ChaosPlan plan({true, false}, 3);
    auto peers = training_peers(3);
    peers[2].steps = 0;
    peers[2].shards = 0;
    EXPECT_EQ(plan.poll_action(kStart, peers), (ChaosAction{Kind::Kill, 1}));
}

TEST(ChaosPlan, NewcomerWaitsUntilAllSurvivorsNoticedTheCrash) {
    ChaosPlan plan({true, true}, 3);
    auto peers = training_peers(3);
    EXPECT_EQ(plan.poll_action(kStart, peers), (ChaosAction{Kind::Kill, 1}));
    peers[0].killed_by_chaos = true;
    EXPECT_FALSE(plan.poll_action(kStart, peers));
    plan.handle_failed(2, "id1");
    plan.handle_failed(3, "id2");  // about another peer
    EXPECT_FALSE(plan.poll_action(kStart, peers));
    EXPECT_EQ(plan.missing(), "late-join");
    plan.handle_failed(3, "id1");
    EXPECT_EQ(plan.poll_action(kStart, peers), (ChaosAction{Kind::Join, 3}));
    EXPECT_FALSE(plan.poll_action(kStart, peers));
    EXPECT_EQ(plan.missing(), "");
}

TEST(ChaosPlan, NewcomerDoesNotWaitForEver) {
    ChaosPlan plan({true, true}, 2);
    auto peers = training_peers(2);
    ASSERT_TRUE(plan.poll_action(kStart, peers));
    peers[0].killed_by_chaos = true;
    EXPECT_FALSE(plan.poll_action(kStart + kChaosNoticeMax - Duration(1), peers));
    EXPECT_EQ(plan.poll_action(kStart + kChaosNoticeMax, peers), (ChaosAction{Kind::Join, 2}));
}

TEST(ChaosPlan, LateJoinAloneNeedsNoCrash) {
    ChaosPlan plan({false, true}, 2);
    EXPECT_EQ(plan.poll_action(kStart, training_peers(2)), (ChaosAction{Kind::Join, 2}));
}

TEST(ChaosPlan, NewcomerJoinsByAPeerThatStillTrains) {
    ChaosPlan plan({false, true}, 3);
    auto peers = training_peers(3);
    peers[2].exit = ProcessExit{1, 0};
    EXPECT_EQ(plan.poll_action(kStart, peers), (ChaosAction{Kind::Join, 2}));
}

TEST(ChaosPlan, FounderThatDiedByItselfCannotBeKilled) {
    ChaosPlan plan({true, false}, 2);
    auto peers = training_peers(2);
    peers[0].exit = ProcessExit{1, 0};
    EXPECT_FALSE(plan.poll_action(kStart, peers));
    EXPECT_EQ(plan.missing(), "founder-crash");
}

TEST(ChaosPlan, QuietPlanMissesNothing) {
    ChaosPlan plan({}, 2);
    EXPECT_FALSE(plan.poll_action(kStart, training_peers(2)));
    EXPECT_EQ(plan.missing(), "");
}

TEST(ChaosOptions, UnknownNameListsWhatExists) {
    EXPECT_FALSE(ChaosOptions::parse("")->founder_crash);
    const auto both = ChaosOptions::parse("late-join,founder-crash");
    ASSERT_TRUE(both.has_value());
    EXPECT_TRUE(both->founder_crash && both->late_join);
    const auto wrong = ChaosOptions::parse("founder-crash,meteor");
    ASSERT_FALSE(wrong.has_value());
    EXPECT_EQ(
        wrong.error().message,
        "--chaos: there is no 'meteor'; use founder-crash, late-join, or both with a comma"
    );
}

}  // namespace
}  // namespace starling::peer
