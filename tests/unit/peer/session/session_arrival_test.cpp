// Goal: a peer gets what it needs to train, whoever gives it or gives nothing. Method: one session
// among peers that the test plays, on a clock that it moves.

#include <gtest/gtest.h>

#include "tests/unit/peer/session/support/session_rig.hpp"

namespace starling::peer {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// Brings a newcomer with all shards so far that it lacks only the parameters.
void join(SessionRig& rig) {
    rig.hold_all_shards();
    (void)rig.begin(Start::Join);
    (void)rig.tell_prepared();
    (void)rig.settle_down();
}

TEST(ASessionThatWaits, TrainingBeginsWithEnoughPeersAndPeopleAreToldOnce) {
    SessionRig rig({[](Descriptor& d) { d.wait_for = 3; }});
    (void)rig.begin(Start::Found);
    (void)rig.tell_prepared();
    rig.other(kPartner);
    auto given = rig.pass(seconds(5));
    ASSERT_EQ(rig.session.state(), PeerState::Training);
    EXPECT_EQ(
        given.notes, std::vector<std::string>{"training begins when 3 peers are ready; there are 2"}
    );
    EXPECT_EQ(given.orders.back().phase, TrainerPhase::Pause);
    rig.other(kNewcomer);
    given = rig.pass(milliseconds(100));
    ASSERT_FALSE(given.orders.empty());
    EXPECT_EQ(given.orders.back().phase, TrainerPhase::Train);
    EXPECT_TRUE(given.notes.empty());
}

TEST(ASessionThatWaits, EndsWhenAnyPeerHasMadeAStepAndForWhoHasMadeSome) {
    SessionRig rig({[](Descriptor& d) { d.wait_for = 3; }});
    rig.other(kPartner).steps = 1;
    (void)rig.begin(Start::Found);
    (void)rig.tell_prepared();
    EXPECT_EQ(rig.settle_down().orders.back().phase, TrainerPhase::Train);

    SessionRig alone({[](Descriptor& d) { d.wait_for = 3; }});
    alone.hold_all_shards();
    (void)alone.begin(Start::Resume, {1, 64, 1});
    (void)alone.tell_prepared();
    EXPECT_EQ(alone.settle_down().orders.back().phase, TrainerPhase::Train);
}

TEST(ASessionThatWaits, CountsItselfOnlyWhenItHasWhatItNeeds) {
    SessionRig rig({[](Descriptor& d) { d.wait_for = 2; }});
    rig.other(kPartner);
    join(rig);
    (void)rig.frame(kPartner, FrameType::StateInfo, info());
    (void)rig.give_chunks();
    rig.forget(kPartner);
    const auto given = rig.settle_down();
    ASSERT_EQ(rig.session.state(), PeerState::Training);
    EXPECT_EQ(given.orders.back().phase, TrainerPhase::Pause);
}

TEST(ASessionThatWaits, WaitsForItsTrainerAsLongAsThatReadsFiles) {
    SessionRig rig;
    (void)rig.begin(Start::Found);
    EXPECT_FALSE(rig.pass(seconds(60)).outcome);
    EXPECT_EQ(rig.session.state(), PeerState::Joining);
}

TEST(ASessionThatJoins, TakesTheFurthestPlaceOfItsDonorsInTheSchedule) {
    SessionRig rig;
    rig.other(kPartner).steps = 100;
    rig.other(kNewcomer).steps = 100;
    join(rig);
    (void)rig.frame(kPartner, FrameType::StateInfo, info(77));
    (void)rig.frame(kNewcomer, FrameType::StateInfo, info(88));
    auto given = rig.give_chunks();
    given.add(rig.give_chunks(kNewcomer));
    EXPECT_EQ(rig.session.view_due(), rig.now) << "the last chunk is worth a look";
    given = rig.settle_down();
    EXPECT_EQ(rig.session.state(), PeerState::Training);
    EXPECT_EQ(given.orders.back().phase, TrainerPhase::Train);
    EXPECT_EQ(given.orders.back().schedule_step, 88U);
    EXPECT_EQ(rig.floats.values, std::vector<float>(12, 2.0F));
    EXPECT_FALSE(rig.session.transfers().donors_schedule_step()) << "the fetch is over";
    EXPECT_TRUE(rig.averager.ghost()) << "it counts only when it is near the others";
    EXPECT_TRUE(rig.is_donor());
}

TEST(ASessionThatJoins, ComesBackSoonToADonorThatIsBusy) {
    SessionRig rig;
    rig.other(kPartner).steps = 100;
    // Its shards are on the way, too, and may take longer.
    (void)rig.begin(Start::Join);
    (void)rig.tell_prepared();
    (void)rig.settle_down();
    (void)rig.frame(kPartner, FrameType::StateInfo, info());
    Bytes busy = chunk_request(0);
    busy.push_back(std::byte{1});
    (void)rig.frame(kPartner, FrameType::StateChunk, busy);
    EXPECT_EQ(rig.session.poll_timeout(), rig.now + StateFetch::kBusyPause);
    EXPECT_EQ(rig.pass(StateFetch::kBusyPause).count(FrameType::StateRequest), 1U);
}

TEST(ASessionThatJoins, SaysFromWhomItWaitsForParametersAndNamesNoDonorThatWasKilled) {
    SessionRig rig;
    rig.other(kPartner).steps = 100;
    join(rig);
    EXPECT_EQ(rig.session.waiting(rig.now), "parameters from any peer (0 of 0 MB), for 0 s");
    (void)rig.frame(kPartner, FrameType::StateInfo, info());
    (void)rig.pass(seconds(1));
    EXPECT_EQ(rig.session.waiting(rig.now), "parameters from 1 peer (0 of 0 MB), for 1 s");
    rig.view.others[0].state = membership::MemberState::Failed;
    --rig.view.live;
    (void)rig.down(kPartner);
    (void)rig.settle_down();
    EXPECT_EQ(rig.session.waiting(rig.now), "parameters from any peer (0 of 0 MB), for 1 s");
}

TEST(ASessionThatJoins, AsksADonorAgainWhoseStreamBroke) {
    SessionRig rig;
    rig.other(kPartner).steps = 100;
    join(rig);
    (void)rig.frame(kPartner, FrameType::StateInfo, info());
    (void)rig.broken(kPartner);
    EXPECT_EQ(rig.pass(StateFetch::kAskAgain).count(FrameType::StateInfoRequest), 1U);
}

TEST(ASessionThatJoins, AsksAtTheFirstViewAndTrainsWithTheFirstOfItsShards) {
    SessionRig rig;
    rig.other(kPartner).steps = 100;
    (void)rig.begin(Start::Join);
    EXPECT_EQ(rig.session.view_due(), rig.now);
    EXPECT_EQ(rig.settle_down().count(FrameType::StateInfoRequest), 1U);
    const auto asks = rig.tell_prepared();
    EXPECT_EQ(rig.session.view_due(), rig.now) << "the trainer is ready: that is news";
    EXPECT_EQ(rig.settle_down().count(FrameType::ShardRequest), ShardTransfer::kFetchesMax);
    (void)rig.frame(kPartner, FrameType::StateInfo, info());
    (void)rig.give_chunks();
    EXPECT_NE(rig.session.view_due(), rig.now) << "a shard is missing yet";
    EXPECT_EQ(rig.session.state(), PeerState::Joining);

    const auto own = rig.session.roster().duties().train;
    ASSERT_GE(own.size(), 2U);
    auto given = rig.frame(kPartner, FrameType::ShardPiece, rig.piece(own[0]));
    const auto version = given.orders.back().shards_version;
    given = rig.settle_down();
    EXPECT_EQ(given.orders.back().phase, TrainerPhase::Train);
    EXPECT_EQ(given.records.back().shards, own.size());
    EXPECT_EQ(given.records.back().held, 1U);
    // The trainer reads its shards anew when the version rises.
    given = rig.frame(kPartner, FrameType::ShardPiece, rig.piece(own[1]));
    ASSERT_EQ(given.orders.size(), 1U);
    EXPECT_GT(given.orders.back().shards_version, version);
}

TEST(ASessionThatJoins, DoesNotLookAtOnceWhileItsTrainerIsNotReady) {
    SessionRig rig;
    rig.other(kPartner).steps = 100;
    (void)rig.begin(Start::Join);
    (void)rig.settle_down();
    (void)rig.frame(kPartner, FrameType::StateInfo, info());
    (void)rig.give_chunks();
    ASSERT_FALSE(rig.session.transfers().fetching_state());
    EXPECT_NE(rig.session.view_due(), rig.now);
}

TEST(ASessionThatJoins, AsksHoldersThatAreHereAndHoldSomething) {
    SessionRig rig;
    rig.other(kPartner, PeerState::Training).held = 0;
    rig.other(peer_id(1), PeerState::Joining);
    rig.other(kNewcomer, PeerState::Training);
    rig.view.others.back().state = membership::MemberState::Failed;
    (void)rig.begin(Start::Join);
    (void)rig.tell_prepared();
    const auto given = rig.settle_down();
    EXPECT_EQ(given.count(FrameType::ShardRequest), ShardTransfer::kFetchesMax);
    for (const auto& frame : given.frames) {
        EXPECT_EQ(frame.to, frame.type == FrameType::ShardRequest ? peer_id(1) : kPartner);
    }
}

TEST(ASessionThatJoins, StartsFromTheSeedAfterTenSecondsWithoutTrainers) {
    SessionRig rig;
    rig.other(kPartner, PeerState::Joining);
    join(rig);
    EXPECT_TRUE(rig.pass(seconds(10)).notes.empty());
    EXPECT_TRUE(rig.averager.ghost());
    auto given = rig.pass(milliseconds(100));
    EXPECT_EQ(
        given.notes,
        std::vector<std::string>{"nobody has parameters to give; starting from the swarm's seed"}
    );
    EXPECT_EQ(rig.session.state(), PeerState::Training);
    given = rig.pass(milliseconds(100));
    EXPECT_EQ(given.orders.back().phase, TrainerPhase::Train);
    EXPECT_EQ(given.orders.back().schedule_step, std::nullopt);
    EXPECT_EQ(rig.floats.values, std::vector<float>(12, FewFloats::kInitial));
    EXPECT_FALSE(rig.averager.ghost()) << "it is as good as a founder";
    EXPECT_TRUE(rig.is_donor());
}

TEST(ASessionThatJoins, StartsFromNothingAfterAMinuteAndIsNoDonorWhileItIsAGhost) {
    SessionRig rig;
    rig.other(kPartner);
    join(rig);
    EXPECT_TRUE(rig.pass(seconds(60)).notes.empty());
    const auto given = rig.pass(milliseconds(100));
    EXPECT_EQ(
        given.notes,
        std::vector<std::string>{
            "others train, but none of them gives its parameters; starting from the swarm's seed "
            "and catching up"}
    );
    EXPECT_EQ(rig.session.state(), PeerState::Training);
    EXPECT_EQ(rig.floats.values, std::vector<float>(12, FewFloats::kInitial));
    EXPECT_TRUE(rig.averager.ghost());
    EXPECT_FALSE(rig.is_donor());
    rig.averager.set_ghost(false);
    EXPECT_TRUE(rig.is_donor());
    rig.averager.set_ghost(true);
    EXPECT_TRUE(rig.is_donor()) << "whoever has caught up once has real parameters";
}

TEST(ASessionThatJoins, WaitsAnotherMinuteAfterEachChunk) {
    SessionRig rig;
    rig.other(kPartner);
    join(rig);
    (void)rig.pass(seconds(50));
    (void)rig.frame(kPartner, FrameType::StateInfo, info());
    (void)rig.frame(kPartner, FrameType::StateChunk, chunk(0));
    EXPECT_TRUE(rig.pass(seconds(60)).notes.empty());
    EXPECT_EQ(rig.pass(milliseconds(300)).notes.size(), 1U);
}

TEST(ASessionThatJoins, EndsWhenAllOthersHaveLeftForTwentySeconds) {
    SessionRig rig;
    rig.other(kPartner).steps = 100;
    (void)rig.begin(Start::Join);
    (void)rig.tell_prepared();
    (void)rig.settle_down();
    (void)rig.frame(kPartner, FrameType::StateInfo, info());
    (void)rig.give_chunks();
    (void)rig.pass(seconds(30));
    rig.forget(kPartner);
    EXPECT_FALSE(rig.pass(seconds(19)).outcome);
    const auto given = rig.pass(seconds(2));
    ASSERT_TRUE(given.outcome && given.outcome->fault);
    EXPECT_EQ(given.outcome->fault->code, FaultCode::Unreachable);
}

}  // namespace
}  // namespace starling::peer
