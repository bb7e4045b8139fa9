// Goal: everybody counts alike which share of the private samples took part to the last. Method: views from values.

#include "peer/terms/swarm_view.hpp"

#include <gtest/gtest.h>

namespace starling::peer {
namespace {

SeenPeer seen(membership::MemberState state, PeerState said, std::uint32_t samples) {
    SeenPeer peer;
    peer.state = state;
    peer.record.emplace();
    peer.record->state = said;
    peer.record->own_train = samples;
    return peer;
}

TEST(SampleShare, IsOfThoseThatTakePartStillOrDidUntilTheirEnd) {
    using membership::MemberState;
    SwarmView view;
    EXPECT_EQ(sample_share(view, 0).share(), std::nullopt);
    EXPECT_EQ(sample_share(view, 10).share(), 1.0);
    view.others = {
        seen(MemberState::Alive, PeerState::Training, 100),
        seen(MemberState::Suspect, PeerState::Settling, 200),
        seen(MemberState::Left, PeerState::Done, 300),
        seen(MemberState::Failed, PeerState::Lingering, 400),
        seen(MemberState::Failed, PeerState::Training, 1000),
        seen(MemberState::Left, PeerState::Training, 2000),
        SeenPeer{},
    };
    const auto samples = sample_share(view, 10);
    EXPECT_EQ(samples.lasting, 1010U);
    EXPECT_EQ(samples.all, 4010U);
    // Whom the table has forgotten is gone all the same.
    view.gone_own = 4010;
    EXPECT_EQ(sample_share(view, 10).all, 8020U);
    EXPECT_DOUBLE_EQ(*sample_share(view, 10).share(), 1010.0 / 8020.0);
}

}  // namespace
}  // namespace starling::peer
