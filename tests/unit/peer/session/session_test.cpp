// Goal: a session that has what it needs trains and averages as its swarm asks, and tells the swarm
// how far it is. Method: one session among peers that the test plays, on a clock that it moves.
// session_arrival_test.cpp is about what comes before, session_end_test.cpp about the end.

#include "peer/session/session.hpp"

#include <gtest/gtest.h>

#include "tests/unit/peer/session/support/session_rig.hpp"

namespace starling::peer {
namespace {

using gossip::Outcome;
using std::chrono::milliseconds;
using std::chrono::seconds;

SessionRig::Setup until(UntilKind kind, double value) {
    return {[=](Descriptor& d) { d.until = {kind, value}; }};
}

/// Brings a peer that has its parameters so far that it trains.
void train(SessionRig& rig, Start start = Start::Found, const Session::Progress& before = {}) {
    (void)rig.begin(start, before);
    (void)rig.tell_prepared();
    (void)rig.settle_down();
    ASSERT_EQ(rig.session.state(), PeerState::Training);
}

TEST(APeerWithoutAShard, SaysThatItHasNoDuty) {
    auto rig = SessionRig({{}, 1});
    train(rig);
    EXPECT_EQ(rig.session.waiting(rig.now), "");
    // One of some peers is the owner of the only shard instead of us.
    const auto owned_by = [&](const PeerId& other) {
        const std::vector<data::WeightedPeer> peers = {{kSelf, 1}, {other, 1}};
        return data::duties_of(kSelf, peers, rig.descriptor.manifest, 0).train.empty();
    };
    std::uint8_t n = 20;
    while (!owned_by(peer_id(n))) ++n;
    rig.other(peer_id(n));
    (void)rig.pass(seconds(1));
    EXPECT_EQ(rig.session.record().shards, 0U);
    EXPECT_EQ(
        rig.session.waiting(rig.now).find("a part of the training data: all of its shards belong"),
        0U
    );
}

TEST(ATrainingPeer, SaysHowFastItIsAndTakesThatShare) {
    auto rig = SessionRig({{}, 64});
    train(rig);
    rig.other(kPartner).speed = std::int16_t{80};  // 1,024 samples a second
    Given given;
    for (int i = 0; i < 400; ++i) {
        rig.report.samples += 25;
        ++rig.report.steps;
        (void)rig.tell();
        given.add(rig.pass(milliseconds(100)));
    }
    const auto speed = rig.session.record().speed;
    ASSERT_TRUE(speed.has_value());
    EXPECT_NEAR(*speed, 64, 1) << "256 a second";
    EXPECT_EQ(given.records.back().speed, speed);
    EXPECT_LT(rig.session.record().shards, 24U) << "an even share is 32, a fifth 13";
}

TEST(ATargetInSamples, IsClaimedInTheRecordBeforeTheTrainerMayGoOn) {
    auto rig = SessionRig({[](Descriptor& d) { d.until = {UntilKind::Samples, 6400}; }});
    train(rig);
    auto given = rig.pass(milliseconds(200));
    ASSERT_FALSE(given.orders.empty());
    EXPECT_EQ(given.orders.back().samples_limit, 6400U) << "it is alone";
    EXPECT_EQ(given.records.back().claim.samples, 6400U);

    // A newcomer trains, too: the founder first tells its trainer, and then the others.
    auto& partner = rig.other(kPartner);
    partner.shards = 4;
    partner.claim = {0, rig.session.record().claim.turn, 0};
    rig.trainer_obeys = false;
    given = rig.pass(seconds(1));
    ASSERT_FALSE(given.orders.empty());
    EXPECT_LT(*given.orders.back().samples_limit, 4000U);
    EXPECT_EQ(given.records.back().claim.samples, 6400U) << "a step may still run";
    rig.report.obeyed = given.orders.back().number;
    (void)rig.tell();
    EXPECT_EQ(
        rig.pass(seconds(1)).records.back().claim.samples, *given.orders.back().samples_limit
    );
}

TEST(ATargetInSamples, OfAPeerThatComesBackAloneWaitsForTheOthers) {
    auto rig = SessionRig({[](Descriptor& d) { d.until = {UntilKind::Samples, 6400}; }});
    rig.hold_all_shards();
    train(rig, Start::Resume, {10, 640, 10});
    (void)rig.pass(milliseconds(9900));
    EXPECT_EQ(rig.session.record().claim.samples, 640U);
    EXPECT_EQ(rig.session.waiting(rig.now).find("other members of its swarm"), 0U);
    (void)rig.pass(milliseconds(300));
    EXPECT_EQ(rig.session.record().claim.samples, 6400U);
    EXPECT_EQ(rig.session.waiting(rig.now), "");
}

TEST(TheRecord, IsPublishedOnceASecondAndWhenTheStateChanges) {
    SessionRig rig;
    EXPECT_EQ(rig.begin(Start::Found).records.size(), 1U);
    (void)rig.tell_prepared();
    EXPECT_EQ(rig.settle_down().records.size(), 1U) << "it trains";
    EXPECT_EQ(rig.pass(milliseconds(999)).records.size(), 0U);
    EXPECT_EQ(rig.pass(milliseconds(1)).records.size(), 1U);
    EXPECT_EQ(rig.pass(seconds(5)).records.size(), 5U);
}

TEST(TheNotes, SayOnceThatTheTestLossRisesWhileTrainingGoesOn) {
    SessionRig rig;
    train(rig);
    const auto estimate = [&rig](double loss, double test_loss) {
        rig.report.steps += 100;
        rig.report.loss = loss;
        rig.report.test_loss = test_loss;
        auto given = rig.tell();
        given.add(rig.pass(seconds(5)));
        return given.notes;
    };
    EXPECT_TRUE(estimate(0.4, 0.61).empty());
    std::vector<std::string> notes;
    for (int i = 0; i < 60; ++i) {
        for (auto& note : estimate(0.0, 1.7 + 1e-4 * i)) notes.push_back(std::move(note));
    }
    ASSERT_EQ(notes.size(), 1U);
    EXPECT_NE(notes[0].find("risen from 0.61 to 1.70 since step 100"), std::string::npos);
    EXPECT_EQ(rig.session.record().test_loss, static_cast<float>(*rig.report.test_loss));
}

TEST(TheRecord, SaysWhatTheTrainerReports) {
    SessionRig rig;
    train(rig);
    EXPECT_EQ(rig.session.record().accuracy, -1.0F) << "nothing was measured yet";
    rig.report.steps = 7;
    rig.report.samples = 448;
    rig.report.samples_per_s = 64;
    rig.report.loss = 0.25;
    rig.report.accuracy = 0.5;
    (void)rig.tell();
    const auto record = rig.session.record();
    EXPECT_EQ(record.steps, 7U);
    EXPECT_EQ(record.samples, 448U);
    EXPECT_EQ(record.samples_per_s, 64.0F);
    EXPECT_EQ(record.loss, 0.25F);
    EXPECT_EQ(record.accuracy, 0.5F);
    EXPECT_EQ(record.shards, 8U);
    EXPECT_EQ(record.held, 10U);
    EXPECT_FALSE(record.reached || record.ending);
}

TEST(TheRecord, SaysAtOnceThatOurEstimateMeetsTheTarget) {
    SessionRig rig;
    rig.other(kPartner);
    rig.other(kNewcomer);
    train(rig);
    rig.report.accuracy = 0.95;
    (void)rig.tell();
    const auto given = rig.settle_down();
    ASSERT_EQ(given.records.size(), 1U);
    EXPECT_TRUE(given.records[0].reached);
    EXPECT_EQ(given.records[0].state, PeerState::Training) << "one of three is no majority";
}

TEST(TheRecord, OfAnEarlierLifeIsKnownFromTheBeginning) {
    SessionRig rig;
    const auto given = rig.begin(Start::Resume, {70, 4480, 71});
    EXPECT_EQ(given.records.at(0).steps, 70U);
    EXPECT_EQ(given.records.at(0).samples, 4480U);
    EXPECT_EQ(rig.session.report().schedule_step, 71U);
}

TEST(TheRecord, SaysHowOftenWeAveragedAndHowFarApartWeWere) {
    SessionRig rig;
    FewFloats theirs;
    theirs.initialize();
    const auto config = *averager_config(rig.descriptor);
    gossip::Averager partner(config, kPartner, rig.descriptor.layout, theirs, Rng(8));
    partner.peer_up(rig.now, kSelf);
    rig.other(kPartner);
    train(rig);
    Given given = rig.mix_due();
    while (!given.exchange_frames.empty()) {
        for (const auto& outgoing : given.exchange_frames) {
            ASSERT_TRUE(partner.handle_frame(rig.now, kSelf, outgoing.frame).has_value());
        }
        while (const auto answer = partner.poll_transmit()) {
            ASSERT_TRUE(rig.averager.handle_frame(rig.now, kPartner, answer->frame).has_value());
        }
        given = rig.up();
    }
    EXPECT_EQ(rig.session.record().exchanges, 1U);
    EXPECT_NEAR(rig.session.record().spread, 0.25 * 0.5, 1e-6) << "a quarter of the first distance";
}

TEST(TheView, IsAskedForTenTimesASecondAndCountsLivePeersAndSamples) {
    SessionRig rig;
    train(rig);
    EXPECT_EQ(rig.session.view_due(), rig.now + milliseconds(100));
    rig.report.samples = 64;
    (void)rig.tell();
    rig.other(kPartner).samples = 100;
    rig.view.gone_samples = 1000;
    (void)rig.pass(milliseconds(100));
    EXPECT_EQ(rig.session.live(), 2U);
    EXPECT_EQ(rig.session.swarm_samples(), 1164U);
}

TEST(Duties, ChangeWithThePeersAndTheTrainerHearsOfIt) {
    SessionRig rig;
    train(rig);
    ASSERT_EQ(rig.session.roster().duties().train.size(), 8U);
    rig.other(kPartner);
    (void)rig.up();
    const auto given = rig.settle_down();
    ASSERT_EQ(given.orders.size(), 1U);
    EXPECT_LT(given.orders[0].shards.size(), 8U);
    EXPECT_TRUE(rig.pass(seconds(3)).orders.empty()) << "no news, no order";
}

TEST(Duties, WaitUntilTheTrainerHasReadLocalShards) {
    SessionRig rig;
    rig.other(kPartner);
    (void)rig.begin(Start::Join);
    EXPECT_EQ(rig.pass(seconds(5)).count(FrameType::ShardRequest), 0U);
    (void)rig.tell_prepared();
    EXPECT_GT(rig.settle_down().count(FrameType::ShardRequest), 0U);
}

/// Makes a swarm with one shard that another peer owns.
class APeerWithoutShards : public ::testing::Test {
protected:
    APeerWithoutShards() {
        std::uint8_t owner = 6;
        const auto ours = [&] {
            const std::vector<data::WeightedPeer> peers = {{kSelf, 1}, {peer_id(owner), 1}};
            return data::rank_owners(rig_.sharded.manifest.shards[0].id, peers, 1)[0] == kSelf;
        };
        while (ours()) ++owner;
        owner_ = peer_id(owner);
        rig_.other(owner_);
        train(rig_);
    }

    SessionRig rig_{SessionRig::Setup{until(UntilKind::Steps, 10).change, 1}};
    PeerId owner_;
};

TEST_F(APeerWithoutShards, AveragesByItself) {
    ASSERT_TRUE(rig_.session.roster().duties().train.empty());
    // Nobody answers: an exchange takes two seconds, and then the partner rests.
    EXPECT_EQ(rig_.pass(milliseconds(1900)).opened, 0U) << "one is under way since it trains";
    EXPECT_GE(rig_.pass(seconds(20)).opened, 3U);
}

TEST_F(APeerWithoutShards, MakesNoStepsThatAnybodyWaitsFor) {
    EXPECT_TRUE(rig_.session.record().reached);
    EXPECT_EQ(rig_.session.state(), PeerState::Training);
    rig_.other(owner_).reached = true;
    (void)rig_.pass(milliseconds(100));
    EXPECT_EQ(rig_.session.state(), PeerState::Settling);
}

TEST(APeerWithoutSteps, HasMadeAllOfThemAndAveragesOnceASecond) {
    auto rig = SessionRig(until(UntilKind::Steps, 10));
    rig.other(kPartner);
    train(rig);
    EXPECT_EQ(rig.pass(seconds(5)).opened, 0U) << "its trainer says when to average";
    rig.report.steps = 9;
    (void)rig.tell();
    EXPECT_EQ(rig.pass(seconds(5)).opened, 0U);
    rig.report.steps = 10;
    (void)rig.tell();
    EXPECT_EQ(rig.pass(milliseconds(100)).opened, 1U);
    (void)rig.down(kPartner);  // ends the exchange
    EXPECT_EQ(rig.pass(milliseconds(900)).opened, 0U) << "not more than once a second";
    EXPECT_EQ(rig.pass(milliseconds(200)).opened, 1U);
}

TEST(ASessionThatTrains, LeavesItToItsTrainerWhenToAverage) {
    SessionRig rig;
    rig.other(kPartner);
    train(rig);
    rig.report.steps = 1000;
    (void)rig.tell();
    EXPECT_EQ(rig.pass(seconds(5)).opened, 0U);
}

TEST(APeerWithoutSteps, AveragesNothingWhileItRecovers) {
    auto rig = SessionRig(until(UntilKind::Steps, 10));
    rig.other(kPartner);
    train(rig);
    rig.report.steps = 10;
    (void)rig.tell();
    ASSERT_EQ(rig.pass(milliseconds(100)).opened, 1U);
    (void)rig.exchange(ended(Outcome::Violated));
    ASSERT_TRUE(rig.session.recovery().running());
    EXPECT_EQ(rig.pass(seconds(9)).opened, 0U);
}

TEST(APeerWithoutSteps, AveragesNothingWhenItHasFinished) {
    auto rig = SessionRig(until(UntilKind::Steps, 10));
    rig.other(kPartner, PeerState::Evaluating).ending = true;
    (void)rig.begin(Start::Found, {10, 640, 10});
    (void)rig.tell_prepared();
    (void)rig.settle_down();
    ASSERT_EQ(rig.session.state(), PeerState::Settling);
    (void)rig.exchange(committed(0));
    (void)rig.down(kPartner);  // ends the exchange that runs
    (void)rig.pass(seconds(1));
    ASSERT_EQ(rig.session.state(), PeerState::Evaluating);
    EXPECT_EQ(rig.pass(seconds(5)).opened, 0U);
}

TEST(APeerWithoutSteps, AveragesWithSyncOnlyWhileItIsAGhost) {
    auto setup = until(UntilKind::Steps, 10);
    const auto steps = setup.change;
    setup.change = [&](Descriptor& d) {
        steps(d);
        d.sync = true;
    };
    SessionRig rig(setup);
    rig.other(kPartner).learned = 1000;
    rig.hold_all_shards();
    train(rig, Start::Resume, {10, 640, 10});
    ASSERT_TRUE(rig.averager.ghost());
    EXPECT_TRUE(rig.averager.initiating());
    rig.averager.set_ghost(false);
    EXPECT_EQ(rig.pass(seconds(10)).opened, 0U);
}

TEST(APeerWithoutSteps, WaitsWithAveragingUntilEnoughPeersAreReady) {
    auto setup = until(UntilKind::Steps, 0);
    const auto steps = setup.change;
    setup.change = [&](Descriptor& d) {
        steps(d);
        d.wait_for = 3;
    };
    SessionRig rig(setup);
    rig.other(kPartner);
    (void)rig.begin(Start::Found);
    (void)rig.tell_prepared();
    EXPECT_EQ(rig.pass(seconds(3)).opened, 0U);
}

class KeepingStep : public ::testing::Test {
protected:
    KeepingStep() {
        rig_.other(kNewcomer);
        train(rig_);
    }

    SessionRig rig_{{[](Descriptor& d) { d.sync = true; }}};
};

TEST_F(KeepingStep, HoldsTheTrainerDuringItsExchangeAndReleasesItThen) {
    (void)rig_.pass(seconds(1));
    const auto begun = rig_.mix_due();
    EXPECT_EQ(begun.opened, 1U);
    EXPECT_FALSE(begun.release);
    EXPECT_FALSE(rig_.pass(milliseconds(500)).release);
    EXPECT_TRUE(rig_.down(kNewcomer).release) << "the exchange is over";
}

TEST_F(KeepingStep, ReleasesTheTrainerAtOnceWhereNobodyIsThere) {
    rig_.forget(kNewcomer);
    (void)rig_.pass(seconds(1));
    EXPECT_TRUE(rig_.mix_due().release);
}

TEST_F(KeepingStep, ReleasesTheTrainerAtTheNextViewWhenNoEventTellsOfTheEnd) {
    rig_.other(kPartner);
    rig_.forget(kNewcomer);
    (void)rig_.pass(seconds(1));
    EXPECT_FALSE(rig_.mix_due().release);
    ASSERT_TRUE(rig_.averager.in_round());
    EXPECT_FALSE(rig_.pass(milliseconds(300)).release);
    rig_.averager.peer_down(rig_.now, kPartner);
    ASSERT_FALSE(rig_.averager.in_round() || rig_.averager.initiating());
    EXPECT_TRUE(rig_.pass(milliseconds(100)).release);
}

TEST_F(KeepingStep, ReleasesNoTrainerThatWaitsForNothing) {
    (void)rig_.pass(seconds(1));
    EXPECT_FALSE(rig_.pass(milliseconds(100)).release);
    rig_.ask_to_average(kNewcomer, gossip::Rule::Pairwise);
    ASSERT_TRUE(rig_.averager.responding());
    EXPECT_FALSE(rig_.pass(milliseconds(100)).release);
}

TEST(ASessionWithoutSync, HasNoTrainerToRelease) {
    SessionRig rig;
    train(rig);
    EXPECT_FALSE(rig.mix_due().release);
    EXPECT_FALSE(rig.pass(seconds(1)).release);
}

TEST(Stop, DropsWhatWasNotTakenYet) {
    SessionRig rig;
    rig.other(kPartner);
    train(rig);
    // Past the rig, which would take it.
    rig.session.handle_frame(rig.now, kNewcomer, FrameType::StateInfoRequest, {}, false);
    rig.report.diverged = true;
    rig.session.handle_report(rig.now, rig.report);
    const auto given = rig.stop();
    EXPECT_TRUE(given.frames.empty());
    EXPECT_TRUE(given.orders.empty());
}

TEST(AFrame, FromAPeerWithMuchQueuedIsAnsweredBusy) {
    SessionRig rig;
    train(rig);
    const auto shard = rig.sharded.manifest.shards[0].id;
    const auto chunk = rig.frame(kPartner, FrameType::StateRequest, chunk_request(0), true);
    EXPECT_EQ(chunk.frames.at(0).payload.size(), 5U);
    const auto piece = rig.frame(kPartner, FrameType::ShardRequest, shard_request(shard), true);
    EXPECT_EQ(piece.frames.at(0).payload.size(), 40U);
}

TEST(AFrame, AboutParametersSaysOurPlaceInTheSchedule) {
    SessionRig rig;
    train(rig);
    rig.report.schedule_step = 77;
    (void)rig.tell();
    const auto given = rig.frame(kPartner, FrameType::StateInfoRequest);
    EXPECT_EQ(given.frames.at(0).to, kPartner);
    auto said = info(77);
    said.push_back(std::byte{1});  // it gives parts of chunks
    EXPECT_EQ(given.frames.at(0).payload, said);
}

}  // namespace
}  // namespace starling::peer
