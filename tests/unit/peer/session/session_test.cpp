// Goal: a session that has what it needs trains, averages, settles, evaluates and leaves as its
// swarm asks, and tells the swarm so. Method: one session among peers that the test plays, on a
// clock that it moves. session_arrival_test.cpp is about how it gets what it needs.

#include "peer/session/session.hpp"

#include <gtest/gtest.h>

#include "gossip/codec.hpp"
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

void settle(SessionRig& rig) {
    rig.other(kPartner);
    train(rig);
    rig.other(kPartner, PeerState::Settling).ending = true;
    (void)rig.up();
    (void)rig.settle_down();
    ASSERT_EQ(rig.session.state(), PeerState::Settling);
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

TEST(APeerWithoutSteps, OwnsNoShardAndAveragesOnceASecond) {
    // With one shard, one of the two peers owns none.
    SessionRig rig(SessionRig::Setup{{}, 1});
    std::uint8_t owner = 6;
    const auto ours = [&] {
        const std::vector<data::WeightedPeer> peers = {{kSelf, 1}, {peer_id(owner), 1}};
        return data::rank_owners(rig.sharded.manifest.shards[0].id, peers, 1)[0] == kSelf;
    };
    while (ours()) ++owner;
    rig.other(peer_id(owner));
    train(rig);
    ASSERT_TRUE(rig.session.roster().duties().train.empty());
    // Nobody answers: an exchange takes two seconds, and then the partner rests.
    EXPECT_EQ(rig.pass(milliseconds(1900)).opened, 0U) << "one is under way since it trains";
    EXPECT_GE(rig.pass(seconds(20)).opened, 3U);
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

TEST(APeerWithoutSteps, AveragesWithSyncOnlyWhileItIsAGhost) {
    auto setup = until(UntilKind::Steps, 10);
    const auto steps = setup.change;
    setup.change = [&](Descriptor& d) {
        steps(d);
        d.sync = true;
    };
    SessionRig rig(setup);
    rig.other(kPartner);
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
        rig_.other(kNewcomer);  // a higher id waits to be asked by us
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
    ASSERT_TRUE(rig_.averager.expecting());
    EXPECT_FALSE(rig_.pass(milliseconds(300)).release);
    rig_.averager.peer_down(rig_.now, kPartner);
    ASSERT_FALSE(rig_.averager.expecting() || rig_.averager.initiating());
    EXPECT_TRUE(rig_.pass(milliseconds(100)).release);
}

TEST(ASessionWithoutSync, HasNoTrainerToRelease) {
    SessionRig rig;
    train(rig);
    EXPECT_FALSE(rig.mix_due().release);
    EXPECT_FALSE(rig.pass(seconds(1)).release);
}

TEST(TheEnd, OfAReturnedPeerWaitsForTheOthersAtMostTenSeconds) {
    auto alone = SessionRig(until(UntilKind::Steps, 10));
    alone.hold_all_shards();
    train(alone, Start::Resume, {10, 640, 10});
    (void)alone.pass(milliseconds(9900));
    EXPECT_EQ(alone.session.state(), PeerState::Training);
    (void)alone.pass(milliseconds(200));
    EXPECT_NE(alone.session.state(), PeerState::Training);

    auto met = SessionRig(until(UntilKind::Steps, 10));
    met.hold_all_shards();
    train(met, Start::Resume, {10, 640, 10});
    met.other(kPartner).reached = true;
    (void)met.pass(milliseconds(100));
    EXPECT_EQ(met.session.state(), PeerState::Settling);

    auto founder = SessionRig(until(UntilKind::Steps, 10));
    train(founder);
    founder.report.steps = 10;
    (void)founder.tell();
    (void)founder.pass(milliseconds(100));
    EXPECT_NE(founder.session.state(), PeerState::Training);
}

TEST(TheEnd, CountsTheSamplesOfAllAndWaitsForNoPeerWithoutShards) {
    auto rig = SessionRig(until(UntilKind::Samples, 1000));
    rig.other(kPartner).samples = 899;
    train(rig);
    rig.report.samples = 100;
    (void)rig.tell();
    (void)rig.pass(seconds(1));
    EXPECT_EQ(rig.session.state(), PeerState::Training);
    rig.view.gone_samples = 1;
    (void)rig.pass(milliseconds(100));
    EXPECT_EQ(rig.session.state(), PeerState::Settling);

    auto epochs = SessionRig(until(UntilKind::Epochs, 2));
    train(epochs);
    epochs.report.samples = 63;
    (void)epochs.tell();
    (void)epochs.pass(seconds(1));
    EXPECT_EQ(epochs.session.state(), PeerState::Training);
    epochs.report.samples = 64;
    (void)epochs.tell();
    (void)epochs.pass(milliseconds(100));
    EXPECT_NE(epochs.session.state(), PeerState::Training);
}

TEST(TheEnd, EvaluatesOnlyWhenAllTestShardsAreHere) {
    SessionRig rig;
    std::vector<std::size_t> tests;
    for (std::size_t i = 0; i < rig.sharded.shards.size(); ++i) {
        const bool test = rig.sharded.manifest.shards[i].split == data::Split::Test;
        if (test) tests.push_back(i);
        if (!test) rig.hold(i);
    }
    ASSERT_EQ(tests.size(), 2U);
    rig.hold(tests[0]);
    rig.other(kPartner, PeerState::Evaluating).ending = true;
    (void)rig.begin(Start::Resume);
    (void)rig.tell_prepared();
    (void)rig.settle_down();
    (void)rig.exchange(committed(0));
    auto given = rig.settle_down();
    ASSERT_EQ(rig.session.state(), PeerState::Evaluating);
    EXPECT_EQ(given.orders.back().phase, TrainerPhase::Pause);
    EXPECT_EQ(given.orders.back().evaluation, 1U);
    const auto id = rig.sharded.manifest.shards[tests[1]].id;
    given = rig.frame(kPartner, FrameType::ShardPiece, rig.piece(id));
    ASSERT_EQ(given.orders.size(), 1U);
    EXPECT_EQ(given.orders[0].phase, TrainerPhase::Evaluate);
}

/// Brings a session to its evaluation, and its partner, too.
void evaluate(SessionRig& rig) {
    settle(rig);
    (void)rig.exchange(committed(0));
    (void)rig.settle_down();
    ASSERT_EQ(rig.session.state(), PeerState::Evaluating);
}

void tell_evaluation(SessionRig& rig, std::uint64_t number, std::uint64_t correct) {
    rig.report.evaluation = number;
    rig.report.evaluated = {4.0, correct, 8};
    (void)rig.tell();
    (void)rig.settle_down();
}

TEST(TheEnd, ComesWhenTheTargetIsMetAndAllOthersAreThereToo) {
    SessionRig rig;
    evaluate(rig);
    tell_evaluation(rig, 1, 8);
    EXPECT_EQ(rig.session.state(), PeerState::Lingering);
    EXPECT_FALSE(rig.pass(seconds(29)).outcome);
    rig.other(kPartner, PeerState::Lingering);
    const auto given = rig.pass(milliseconds(100));
    ASSERT_TRUE(given.outcome);
    EXPECT_FALSE(given.outcome->fault);
    ASSERT_EQ(given.records.size(), 1U);
    EXPECT_EQ(given.records[0].state, PeerState::Done) << "the last record says so";
    EXPECT_TRUE(given.records[0].ending);
}

TEST(TheEnd, TellsHowFarApartTheLastPartnersWereWithoutCountingPulls) {
    SessionRig rig;
    settle(rig);
    (void)rig.exchange(committed(0.25));
    auto pull = committed(0.5);
    pull.rule = gossip::Rule::Pull;
    (void)rig.exchange(pull);
    auto broken = ended(Outcome::TimedOut);
    broken.relative_distance = 0.75;
    (void)rig.exchange(broken);
    rig.report.fault = fail(FaultCode::Io, "full");
    const auto given = rig.tell();
    EXPECT_EQ(given.outcome->last_distance, 0.25);
    EXPECT_EQ(given.outcome->fault->message, "full");
}

TEST(TheEnd, WaitsForNewcomersButNotForWatchersAndTheDead) {
    SessionRig rig;
    rig.other(kNewcomer, PeerState::Joining);
    evaluate(rig);
    tell_evaluation(rig, 1, 8);
    rig.other(kPartner, PeerState::Lingering);
    EXPECT_FALSE(rig.pass(seconds(1)).outcome);
    rig.other(kNewcomer, PeerState::Watching);
    rig.other(peer_id(9), PeerState::Joining);
    rig.view.others.back().state = membership::MemberState::Failed;
    EXPECT_TRUE(rig.pass(milliseconds(100)).outcome);
}

TEST(TheEnd, AMissedTargetOpensTheNextRoundAndAnOldEvaluationIsNoVerdict) {
    SessionRig rig;
    evaluate(rig);
    tell_evaluation(rig, 1, 7);
    EXPECT_EQ(rig.session.state(), PeerState::Training);
    EXPECT_EQ(rig.session.record().round, 1U);
    auto& partner = rig.other(kPartner, PeerState::Settling);
    partner.round = 1;
    (void)rig.pass(milliseconds(200));
    ASSERT_EQ(rig.session.state(), PeerState::Settling);
    (void)rig.exchange(committed(0));
    const auto given = rig.settle_down();
    ASSERT_EQ(rig.session.state(), PeerState::Evaluating);
    EXPECT_EQ(given.orders.back().evaluation, 2U);
    tell_evaluation(rig, 1, 8);
    EXPECT_EQ(rig.session.state(), PeerState::Evaluating);
    tell_evaluation(rig, 2, 8);
    EXPECT_EQ(rig.session.state(), PeerState::Lingering);
}

TEST(TheEnd, IsSettledWithoutPartnersOrAveragingAtOnce) {
    SessionRig alone;
    train(alone);
    alone.report.accuracy = 0.95;
    (void)alone.tell();
    (void)alone.pass(milliseconds(300));
    EXPECT_EQ(alone.session.state(), PeerState::Evaluating);

    SessionRig none({[](Descriptor& d) { d.mix = "none"; }});
    settle(none);
    (void)none.pass(milliseconds(100));
    EXPECT_EQ(none.session.state(), PeerState::Evaluating);

    SessionRig two;
    settle(two);
    (void)two.pass(seconds(5));
    EXPECT_EQ(two.session.state(), PeerState::Settling) << "the partner answers nothing";
}

/// Returns the encoding of the first request to average.
std::optional<gossip::Encoding> encoding_of(const Given& given) {
    for (const auto& outgoing : given.exchange_frames) {
        const auto message = gossip::decode(outgoing.frame);
        const auto* open = std::get_if<gossip::Open>(&*message);
        if (open != nullptr) return open->encoding;
    }
    return std::nullopt;
}

TEST(TheEnd, SettlesFinelyAndTrainsOnInItsOwnEncoding) {
    struct Case {
        std::uint32_t parts;
        gossip::Encoding settling;
    };

    // A lattice knows the gaps of single parts only, so it would send bf16 for all of them.
    for (const Case c : {Case{1, gossip::Encoding::Lattice8}, Case{4, gossip::Encoding::F32}}) {
        SessionRig rig({[&](Descriptor& d) {
            d.encoding = "lattice4";
            d.parts = c.parts;
        }});
        settle(rig);
        EXPECT_EQ(encoding_of(rig.pass(seconds(1))), c.settling);
        auto& partner = rig.other(kPartner);
        partner.round = 1;
        partner.ending = false;
        (void)rig.pass(seconds(5));
        ASSERT_EQ(rig.session.state(), PeerState::Training);
        const auto given = rig.mix_due();
        EXPECT_EQ(encoding_of(given), gossip::Encoding::Lattice4);
    }
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
    EXPECT_EQ(given.frames.at(0).payload, info(77));
}

}  // namespace
}  // namespace starling::peer
