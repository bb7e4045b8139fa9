// Goal: the roster knows who trains, tells who came and went, and computes duties anew exactly when
// they may have changed. Method: views made by hand.

#include "peer/session/roster.hpp"

#include <gtest/gtest.h>

#include "tests/unit/peer/session/support/small_swarm.hpp"

namespace starling::peer {
namespace {

using membership::MemberState;

class ARoster : public ::testing::Test {
protected:
    void see(std::uint8_t n, PeerState state, MemberState member = MemberState::Alive) {
        SeenPeer seen;
        seen.id = peer_id(n);
        seen.state = member;
        seen.record.emplace().state = state;
        view_.others.push_back(seen);
    }

    data::Manifest manifest_ = tiny_shards(12).manifest;
    Roster roster_{kSelf, manifest_, 1};
    SwarmView view_;
};

TEST_F(ARoster, HasThoseThatTrainOrHaveTrainedAndAreHere) {
    see(1, PeerState::Joining);
    see(2, PeerState::Training);
    see(3, PeerState::Settling, MemberState::Suspect);
    see(4, PeerState::Done);
    see(6, PeerState::Training, MemberState::Failed);
    see(7, PeerState::Training, MemberState::Left);
    see(8, PeerState::Watching);
    view_.others.emplace_back().id = peer_id(9);  // no record has come yet
    const auto change = roster_.update_partners(view_);
    const std::vector<PeerId> partners = {peer_id(2), peer_id(3), peer_id(4)};
    EXPECT_EQ(change.up, partners);
    EXPECT_TRUE(change.down.empty());
    EXPECT_EQ(roster_.partners(), partners);
}

TEST_F(ARoster, TellsWhoCameAndWhoWentAndNothingTwice) {
    see(2, PeerState::Training);
    see(3, PeerState::Training);
    (void)roster_.update_partners(view_);
    view_.others.erase(view_.others.begin());
    see(4, PeerState::Training);
    auto change = roster_.update_partners(view_);
    EXPECT_EQ(change.up, std::vector{peer_id(4)});
    EXPECT_EQ(change.down, std::vector{peer_id(2)});
    change = roster_.update_partners(view_);
    EXPECT_TRUE(change.up.empty() && change.down.empty());
}

TEST_F(ARoster, WhoWasDeclaredGoneComesAgainIfTheViewStillHasIt) {
    see(2, PeerState::Training);
    (void)roster_.update_partners(view_);
    roster_.remove_partner(peer_id(2));
    EXPECT_TRUE(roster_.partners().empty());
    EXPECT_EQ(roster_.update_partners(view_).up, std::vector{peer_id(2)});
}

TEST_F(ARoster, CountsUsWithThoseThatTrain) {
    EXPECT_TRUE(roster_.update_duties(view_));
    EXPECT_EQ(roster_.duties().train.size(), 12U) << "alone we train on everything";
    see(2, PeerState::Training);
    EXPECT_TRUE(roster_.update_duties(view_));
    const auto ours = roster_.duties().train.size();
    EXPECT_GT(ours, 0U);
    EXPECT_LT(ours, 12U);
    Roster theirs(peer_id(2), manifest_, 1);
    SwarmView seen_by_them;
    seen_by_them.others = view_.others;
    seen_by_them.others[0].id = kSelf;
    EXPECT_TRUE(theirs.update_duties(seen_by_them));
    EXPECT_EQ(theirs.duties().train.size(), 12 - ours) << "each shard has one owner";
}

TEST_F(ARoster, ComputesDutiesAnewWhenAPeerOrItsWeightChanges) {
    EXPECT_TRUE(roster_.update_duties(view_));
    EXPECT_FALSE(roster_.update_duties(view_));
    see(2, PeerState::Joining);
    EXPECT_FALSE(roster_.update_duties(view_));
    view_.others[0].record->state = PeerState::Training;
    EXPECT_TRUE(roster_.update_duties(view_));
    view_.others[0].record->steps = 7;
    EXPECT_FALSE(roster_.update_duties(view_));
    const auto before = roster_.duties().train.size();
    view_.others[0].record->speed = std::int16_t{32};
    EXPECT_TRUE(roster_.update_duties(view_, std::int16_t{0}));
    EXPECT_LT(roster_.duties().train.size(), before);
}

TEST_F(ARoster, ComputesDutiesAnewWhenAnotherPeerTakesThePlaceOfOne) {
    see(2, PeerState::Training);
    EXPECT_TRUE(roster_.update_duties(view_));
    view_.others[0].id = peer_id(3);
    EXPECT_TRUE(roster_.update_duties(view_));
}

TEST_F(ARoster, HoldsWhatItIsAnHeirOf) {
    see(2, PeerState::Training);
    ASSERT_TRUE(roster_.update_duties(view_));
    EXPECT_EQ(roster_.duties().hold.size(), manifest_.shards.size())
        << "with one replica each of two peers holds everything";
    Roster alone(kSelf, manifest_, 0);
    ASSERT_TRUE(alone.update_duties(view_));
    EXPECT_EQ(alone.duties().hold.size(), alone.duties().train.size() + 2) << "and the test shards";
}

}  // namespace
}  // namespace starling::peer
