// Goal: a peer whose parameters have gone bad takes those of others, spreads its own no further, and
// ends when that is of no use. Method: one session among peers that the test plays, on a clock that
// it moves.

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

TEST(ASessionThatRecovers, WaitsForTheStepThatRunsBeforeItFetches) {
    SessionRig rig;
    train(rig);
    rig.trainer_obeys = false;
    (void)diverge(rig);
    EXPECT_EQ(rig.pass(std::chrono::seconds(5)).count(FrameType::StateInfoRequest), 0U);
    rig.trainer_obeys = true;
    rig.report.obeyed = 1000;
    auto given = rig.tell();
    given.add(rig.settle_down());
    EXPECT_EQ(given.count(FrameType::StateInfoRequest), 1U);
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

/// Returns whether we accept the request of a partner to average.
bool accepts(SessionRig& rig) {
    rig.ask_to_average(kPartner, gossip::Rule::Pull);
    const auto answer = rig.averager.poll_transmit();
    const auto message = gossip::decode(answer->frame);
    rig.averager.handle_disconnect(rig.now, kPartner);
    while (const auto event = rig.averager.poll_event()) (void)rig.exchange(*event);
    return std::holds_alternative<gossip::Accept>(*message);
}

/// It has pulled from others until it is near them.
void catch_up(SessionRig& rig) {
    rig.averager.set_ghost(false);
    (void)rig.see();
}

TEST(ASessionThatRecovers, AnswersNobodyUntilItIsOver) {
    SessionRig rig;
    rig.other(kPartner).steps = 100;
    join(rig);
    EXPECT_FALSE(accepts(rig)) << "a newcomer has nothing to average";
    (void)rig.frame(kPartner, FrameType::StateInfo, info());
    (void)rig.give_chunks();
    (void)rig.settle_down();
    EXPECT_FALSE(accepts(rig)) << "a ghost gives nothing";
    catch_up(rig);
    EXPECT_TRUE(accepts(rig));
    (void)diverge(rig);
    EXPECT_FALSE(accepts(rig));
    (void)replace(rig);
    EXPECT_FALSE(accepts(rig));
    catch_up(rig);
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
        rig.report.accuracy = 0.1;  // that is news, but nobody needs to look any more
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
    for (const bool asked_by_us : {true, false}) {
        SessionRig rig;
        train(rig);
        if (asked_by_us) (void)rig.mix_due();
        if (!asked_by_us) rig.ask_to_average(kPartner, gossip::Rule::Pairwise);
        (void)diverge(rig);
        auto given = rig.pass(seconds(1));
        EXPECT_EQ(given.count(FrameType::StateInfoRequest), 0U);
        given = rig.pass(seconds(3));  // the exchange times out
        EXPECT_GT(given.count(FrameType::StateInfoRequest), 0U);
    }
}

TEST(ASessionThatRecovers, WaitsTenSecondsAfterEachChunk) {
    SessionRig rig;
    train(rig);
    (void)diverge(rig);
    (void)rig.pass(seconds(9));
    (void)rig.frame(kPartner, FrameType::StateInfo, info());
    (void)rig.frame(kPartner, FrameType::StateChunk, chunk(0));
    EXPECT_FALSE(rig.pass(seconds(10)).outcome);
    EXPECT_TRUE(rig.pass(milliseconds(300)).outcome);
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

TEST(ASessionThatRecovers, EndsWhileItSettlesIfItsLastPartnerHasGone) {
    SessionRig rig;
    train(rig);
    rig.other(kPartner, PeerState::Settling).ending = true;
    (void)rig.up();
    (void)rig.settle_down();
    ASSERT_EQ(rig.session.state(), PeerState::Settling);
    (void)rig.exchange(committed(0));
    (void)rig.down(kPartner);
    const auto given = rig.exchange(ended(Outcome::Violated, Misdeed::Own));
    ASSERT_TRUE(given.outcome && given.outcome->fault);
    EXPECT_EQ(given.outcome->fault->code, FaultCode::Diverged);
}

TEST(ASessionThatRecovers, WithSyncWaitsForThePartnerOfItsRound) {
    SessionRig rig({[](Descriptor& d) { d.sync = true; }});
    train(rig);
    EXPECT_EQ(rig.mix_due().opened, 1U);
    (void)diverge(rig);
    // The partner does not come, and no other one takes its place.
    auto given = rig.pass(milliseconds(9000));
    EXPECT_EQ(given.count(FrameType::StateInfoRequest), 0U);
    EXPECT_EQ(given.opened, 0U);
    given = rig.pass(milliseconds(1500));
    EXPECT_GT(given.count(FrameType::StateInfoRequest), 0U);
    EXPECT_EQ(given.opened, 0U);
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
