// Goal: a peer gets what it needs to train, whoever gives it or gives nothing, and gets new
// parameters when its own have gone bad. Method: one session among peers that the test plays, on a
// clock that it moves.

#include <gtest/gtest.h>

#include "gossip/codec.hpp"
#include "tests/unit/peer/session/support/session_rig.hpp"

namespace starling::peer {
namespace {

using gossip::Misdeed;
using gossip::Outcome;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// Brings a newcomer with all shards so far that it lacks only the parameters.
void join(SessionRig& rig) {
    rig.hold_all_shards();
    (void)rig.begin(Start::Join);
    (void)rig.tell_prepared();
    (void)rig.settle_down();
}

/// Brings a founder among one other so far that it trains.
void train(SessionRig& rig) {
    rig.other(kPartner).steps = 100;
    (void)rig.begin(Start::Found);
    (void)rig.tell_prepared();
    (void)rig.settle_down();
    ASSERT_EQ(rig.session.state(), PeerState::Training);
}

Given diverge(SessionRig& rig) {
    rig.report.diverged = true;
    rig.report.restarts = rig.session.recovery().done();
    return rig.tell();
}

/// Lets a recovery end with the parameters of the partner.
Given replace(SessionRig& rig) {
    Given all = rig.settle_down();
    all.add(rig.frame(kPartner, FrameType::StateInfo, info()));
    all.add(rig.give_chunks());
    all.add(rig.settle_down());
    return all;
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
    EXPECT_TRUE(rig.averager.ghost()) << "it counts only when it is near the others";
    EXPECT_TRUE(rig.is_donor());
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
    const auto given = rig.pass(milliseconds(200));
    EXPECT_EQ(
        given.notes,
        std::vector<std::string>{"nobody has parameters to give; starting from the swarm's seed"}
    );
    EXPECT_EQ(rig.session.state(), PeerState::Training);
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
    const auto given = rig.pass(milliseconds(200));
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

TEST(ASessionThatRecovers, TakesTheParametersOfOthersAndTrainsOn) {
    SessionRig rig;
    train(rig);
    rig.report.steps = 40;
    auto given = diverge(rig);
    EXPECT_EQ(
        given.notes,
        std::vector<std::string>{
            "training has diverged after step 40; taking the parameters of others"}
    );
    EXPECT_EQ(given.orders.back().phase, TrainerPhase::Pause);
    EXPECT_TRUE(rig.averager.ghost());
    EXPECT_FALSE(rig.is_donor());
    EXPECT_TRUE(diverge(rig).orders.empty()) << "it recovers already";
    given = replace(rig);
    EXPECT_EQ(
        given.notes, std::vector<std::string>{"the parameters of others are here; training goes on"}
    );
    EXPECT_EQ(given.orders.back().phase, TrainerPhase::Train);
    EXPECT_EQ(given.orders.back().restarts, 1U);
    EXPECT_EQ(rig.floats.values, std::vector<float>(12, 2.0F));
    EXPECT_TRUE(rig.is_donor());
    EXPECT_FALSE(rig.session.transfers().donors_schedule_step()) << "the fetch is over";
    // A report from before the order that ended the recovery is no news.
    rig.report.restarts = 0;
    EXPECT_TRUE(rig.tell().notes.empty());
    EXPECT_FALSE(rig.session.recovery().running());
}

/// An offer of the partner to average: Busy is the answer while we do not accept.
bool accepts(SessionRig& rig) {
    gossip::Open open;
    static std::uint64_t last = 0;
    open.id = ExchangeId{++last};
    open.layout = rig.descriptor.layout;
    open.chunk_count = 3;
    open.rule = gossip::Rule::Pull;
    (void)rig.averager.handle_frame(rig.now, kPartner, gossip::encode(gossip::Message(open)));
    const auto answer = rig.averager.poll_transmit();
    const auto message = gossip::decode(answer->frame);
    const bool accepted = std::holds_alternative<gossip::Accept>(*message);
    rig.averager.handle_disconnect(rig.now, kPartner);
    while (const auto event = rig.averager.poll_event()) (void)rig.exchange(*event);
    return accepted;
}

TEST(ASessionThatRecovers, AnswersNobodyUntilItIsOver) {
    SessionRig rig;
    rig.other(kPartner).steps = 100;
    join(rig);
    EXPECT_FALSE(accepts(rig)) << "a newcomer has nothing to average";
    (void)rig.frame(kPartner, FrameType::StateInfo, info());
    (void)rig.give_chunks();
    (void)rig.settle_down();
    EXPECT_TRUE(accepts(rig));
    (void)diverge(rig);
    EXPECT_FALSE(accepts(rig));
    (void)replace(rig);
    EXPECT_TRUE(accepts(rig));
}

TEST(ASessionThatRecovers, BeginsWhenThePartnersRejectWhatWeHave) {
    SessionRig rig;
    train(rig);
    const auto given = rig.exchange(ended(Outcome::Violated));
    EXPECT_EQ(
        given.notes,
        std::vector<std::string>{
            "partners reject the parameters after step 0; taking the parameters of others"}
    );
    EXPECT_TRUE(rig.session.recovery().running());
}

TEST(ASessionThatRecovers, OneAccuserAmongManyIsNotEnough) {
    SessionRig rig;
    rig.other(kNewcomer);
    train(rig);
    (void)rig.exchange(ended(Outcome::Violated));
    EXPECT_FALSE(rig.session.recovery().running());
    auto event = ended(Outcome::Violated);
    event.partner = kNewcomer;
    (void)rig.exchange(event);
    EXPECT_TRUE(rig.session.recovery().running());
}

TEST(ASessionThatRecovers, WhoIsAloneOrAveragesNothingEndsWhenItDivergesAndOnlyThen) {
    for (const bool alone : {true, false}) {
        SessionRig rig({[&](Descriptor& d) {
            if (!alone) d.mix = "none";
            d.optimizer = "sgd?lr=9";
        }});
        train(rig);
        if (alone) rig.forget(kPartner);
        (void)rig.pass(seconds(1));
        const auto accused = rig.exchange(ended(Outcome::Violated));
        EXPECT_FALSE(accused.outcome);
        EXPECT_FALSE(rig.session.recovery().running());
        const auto given = diverge(rig);
        ASSERT_TRUE(given.outcome && given.outcome->fault);
        EXPECT_EQ(given.outcome->fault->code, FaultCode::Diverged);
        EXPECT_EQ(
            given.outcome->fault->message,
            "training has diverged after step 0; try a lower learning rate than that of sgd?lr=9"
        );
    }
}

TEST(ASessionThatRecovers, TheFourthInARowEndsTheSessionUnlessAThousandStepsLieBetween) {
    for (const std::uint64_t steps : {999U, 1000U}) {
        SessionRig rig;
        train(rig);
        for (int i = 0; i < 3; ++i) {
            ASSERT_FALSE(diverge(rig).outcome);
            (void)replace(rig);
            ASSERT_FALSE(rig.session.recovery().running());
        }
        rig.report.steps = steps;
        const auto given = diverge(rig);
        EXPECT_EQ(given.outcome.has_value(), steps < 1000);
        EXPECT_EQ(rig.session.recovery().running(), steps >= 1000);
    }
}

TEST(ASessionThatRecovers, WhereNobodyGivesTheAccusedTrainsOnAndTheDivergedEnds) {
    SessionRig accused;
    train(accused);
    (void)accused.exchange(ended(Outcome::Violated));
    EXPECT_TRUE(accused.pass(seconds(10)).notes.empty());
    auto given = accused.pass(seconds(1));
    EXPECT_EQ(
        given.notes,
        std::vector<std::string>{"nobody gave any parameters; training goes on with our own"}
    );
    EXPECT_EQ(given.orders.back().phase, TrainerPhase::Train);
    EXPECT_TRUE(accused.is_donor());

    SessionRig diverged;
    train(diverged);
    (void)diverge(diverged);
    EXPECT_FALSE(diverged.pass(seconds(10)).outcome);
    given = diverged.pass(seconds(1));
    ASSERT_TRUE(given.outcome && given.outcome->fault);
    EXPECT_EQ(given.outcome->fault->code, FaultCode::Diverged);
}

TEST(ASessionThatRecovers, AsksForParametersOnlyWhenTheLastExchangeIsOver) {
    SessionRig rig;
    train(rig);
    ASSERT_EQ(rig.mix_due().opened, 1U);
    (void)diverge(rig);
    auto given = rig.pass(seconds(1));
    EXPECT_EQ(given.count(FrameType::StateInfoRequest), 0U);
    given = rig.pass(seconds(2));  // the exchange times out
    EXPECT_GT(given.count(FrameType::StateInfoRequest), 0U);
}

TEST(ASessionThatRecovers, OpensNoExchangeForATrainerThatHasNotStoppedYet) {
    SessionRig rig;
    train(rig);
    (void)rig.exchange(ended(Outcome::Violated));
    (void)rig.settle_down();
    ASSERT_TRUE(rig.session.transfers().fetching_state());
    EXPECT_EQ(rig.mix_due().opened, 0U);
}

TEST(ASessionThatRecovers, RestsFromSettlingAndThenGoesOn) {
    SessionRig rig;
    train(rig);
    rig.other(kPartner, PeerState::Settling).ending = true;
    ASSERT_GT(rig.pass(milliseconds(200)).opened, 0U);
    ASSERT_EQ(rig.session.state(), PeerState::Settling);
    (void)rig.exchange(ended(Outcome::Violated));
    auto given = rig.pass(seconds(4));
    EXPECT_EQ(given.opened, 0U);
    EXPECT_GT(given.count(FrameType::StateInfoRequest), 0U);
    (void)replace(rig);
    ASSERT_FALSE(rig.session.recovery().running());
    EXPECT_GT(rig.pass(seconds(3)).opened, 0U);
}

TEST(ASessionThatRecovers, WithSyncWaitsForThePartnerThatIsToAsk) {
    SessionRig rig({[](Descriptor& d) { d.sync = true; }});
    train(rig);
    (void)rig.mix_due();
    ASSERT_TRUE(rig.averager.expecting());
    (void)diverge(rig);
    // The partner does not come. We ask it instead, and it does not answer.
    auto given = rig.pass(milliseconds(2900));
    EXPECT_EQ(given.count(FrameType::StateInfoRequest), 0U);
    EXPECT_EQ(given.opened, 1U);
    given = rig.pass(milliseconds(300));
    EXPECT_GT(given.count(FrameType::StateInfoRequest), 0U);
}

TEST(ASessionThatRecovers, GivesNobodyTheChunksThatItReplaces) {
    SessionRig rig;
    train(rig);
    const auto before = rig.frame(kNewcomer, FrameType::StateRequest, chunk_request(0));
    EXPECT_EQ(before.frames.at(0).payload.size(), chunk(0).size());
    (void)diverge(rig);
    const auto busy = rig.frame(kNewcomer, FrameType::StateRequest, chunk_request(0));
    EXPECT_EQ(busy.frames.at(0).payload.size(), 5U);
    EXPECT_EQ(busy.frames.at(0).payload.back(), std::byte{1});
    (void)replace(rig);
    const auto here = rig.frame(kNewcomer, FrameType::StateRequest, chunk_request(0));
    EXPECT_EQ(here.frames.at(0).payload, chunk(0));
}

TEST(ASessionThatTrains, TheFirstBatchWithoutAFiniteLossIsToldOnce) {
    SessionRig rig;
    train(rig);
    rig.report.steps = 12;
    rig.report.unsound_steps = 1;
    EXPECT_EQ(rig.tell().notes.size(), 1U);
    rig.report.unsound_steps = 2;
    EXPECT_TRUE(rig.tell().notes.empty());
}

}  // namespace
}  // namespace starling::peer
