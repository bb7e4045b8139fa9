// Goal: a session ends when its swarm's target is met, together with its swarm and in its order:
// settle, evaluate, linger, leave, and back to training when the target is missed. Method: one
// session among peers that the test plays, on a clock that it moves.

#include <gtest/gtest.h>

#include "gossip/codec.hpp"
#include "tests/unit/peer/session/support/session_rig.hpp"

namespace starling::peer {
namespace {

using gossip::Outcome;
using std::chrono::milliseconds;
using std::chrono::seconds;

SessionRig::Setup until(UntilKind kind, double value) {
    return {[=](Descriptor& d) {
        d.until = {kind, value};
        d.batch = 1;
    }};
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
    EXPECT_EQ(rig.session.poll_timeout(), rig.now) << "it asks partners without a pause";
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
    EXPECT_EQ(rig.session.state(), PeerState::Training) << "one of two is no majority";
    rig.other(kPartner).reached = true;
    (void)rig.pass(milliseconds(100));
    EXPECT_EQ(rig.session.state(), PeerState::Settling);

    auto epochs = SessionRig(until(UntilKind::Epochs, 2));
    train(epochs);
    epochs.report.samples = 1'000'000;  // whatever was made
    epochs.report.position.epoch = 1;
    epochs.report.position.next = std::uint64_t{0xffff} << 47U;
    (void)epochs.tell();
    (void)epochs.pass(seconds(1));
    EXPECT_EQ(epochs.session.state(), PeerState::Training);
    epochs.report.position = {2, 0};
    ++epochs.report.samples;
    (void)epochs.tell();
    (void)epochs.pass(milliseconds(100));
    EXPECT_NE(epochs.session.state(), PeerState::Training);
}

TEST(TheEnd, OfEpochsComesWhenTheShardsOfAllHaveComeSoFar) {
    auto rig = SessionRig(until(UntilKind::Epochs, 2));
    train(rig);
    auto& other = rig.other(kPartner);
    other.duty = DutyProgress{{1, 500}, {}};
    (void)rig.pass(seconds(1));
    rig.report.position = {2, 0};
    rig.report.samples = 64;
    (void)rig.tell();
    (void)rig.pass(seconds(1));
    (void)rig.tell();  // that it has heard how little is left
    (void)rig.pass(seconds(5));
    EXPECT_EQ(rig.session.state(), PeerState::Training) << "the partner's shards are behind";
    EXPECT_FALSE(rig.session.record().reached);
    EXPECT_EQ(rig.session.waiting(rig.now).find("the other peers, whose shards"), 0U);
    other.duty = DutyProgress{{2, 0}, {}};
    (void)rig.pass(seconds(1));
    EXPECT_TRUE(rig.session.record().reached);
    other.reached = true;
    (void)rig.pass(seconds(1));
    EXPECT_NE(rig.session.state(), PeerState::Training);
}

TEST(TheEnd, OfEpochsWaitsAMinuteForOneThatTrainsOnNothing) {
    auto rig = SessionRig(until(UntilKind::Epochs, 2));
    train(rig);
    auto& other = rig.other(kPartner);
    other.duty = DutyProgress{{1, 500}, {}};
    (void)rig.pass(seconds(1));
    rig.report.position = {2, 0};
    rig.report.samples = 64;
    (void)rig.tell();
    (void)rig.pass(seconds(1));
    (void)rig.tell();  // that it has heard how little is left
    auto given = rig.pass(seconds(54));
    EXPECT_FALSE(rig.session.record().reached);
    given.add(rig.pass(seconds(10)));
    EXPECT_TRUE(rig.session.record().reached);
    const auto told = [](const std::string& note) {
        return note.find("1 of 2 peers have trained on nothing") != std::string::npos;
    };
    EXPECT_EQ(std::count_if(given.notes.begin(), given.notes.end(), told), 1);
}

TEST(TheEnd, OfEpochsBoundsWhatThePeerTrainsOn) {
    auto rig = SessionRig(until(UntilKind::Epochs, 2));
    auto given = rig.begin(Start::Found);
    given.add(rig.tell_prepared());
    given.add(rig.settle_down());
    given.add(rig.pass(seconds(1)));
    const auto samples = rig.shards.manifest().samples(data::Split::Train);
    ASSERT_FALSE(given.orders.empty());
    const auto limit = given.orders.back().samples_limit;
    ASSERT_TRUE(limit.has_value());
    EXPECT_GE(*limit, 2 * samples);
    EXPECT_LT(*limit, 2 * samples + rig.descriptor.batch);
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
    EXPECT_EQ(rig.session.view_due(), rig.now) << "we agree, so we look at once";
    (void)rig.settle_down();
    ASSERT_EQ(rig.session.state(), PeerState::Evaluating);
}

void tell_evaluation(SessionRig& rig, std::uint64_t number, std::uint64_t correct) {
    rig.report.evaluation = number;
    rig.report.evaluated.result = {4.0, correct, 8};
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

TEST(TheEnd, WaitsUntilNobodyTrainsAndThenAsksNobodyAnyMore) {
    SessionRig rig;
    settle(rig);
    rig.other(kPartner);
    (void)rig.up();
    (void)rig.settle_down();
    (void)rig.exchange(committed(0));
    (void)rig.pass(seconds(1));
    EXPECT_EQ(rig.session.state(), PeerState::Settling) << "the partner has not heard of it yet";
    rig.other(kPartner, PeerState::Settling);
    (void)rig.pass(milliseconds(100));
    ASSERT_EQ(rig.session.state(), PeerState::Evaluating);
    EXPECT_EQ(rig.pass(seconds(5)).opened, 0U);
}

TEST(TheEnd, IsEvaluatedAfterTwentySecondsAlsoWithoutAgreement) {
    SessionRig rig;
    settle(rig);
    (void)rig.pass(Ending::kSettleMax);
    EXPECT_EQ(rig.session.state(), PeerState::Settling);
    (void)rig.pass(milliseconds(200));
    ASSERT_EQ(rig.session.state(), PeerState::Evaluating);
    EXPECT_EQ(rig.pass(seconds(10)).opened, 0U) << "nobody is asked any more";
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

TEST(TheEnd, OfWhoeverIsLeftComesAtOnceHoweverShortlyItWasHere) {
    // All others have left before it has seen their last records.
    SessionRig rig;
    rig.hold_all_shards();
    rig.other(kPartner);
    train(rig, Start::Resume);
    rig.other(kPartner, PeerState::Settling).ending = true;
    (void)rig.up();
    (void)rig.settle_down();
    (void)rig.exchange(committed(0));
    (void)rig.settle_down();
    tell_evaluation(rig, 1, 8);
    ASSERT_EQ(rig.session.state(), PeerState::Lingering);
    rig.view.others[0].state = membership::MemberState::Left;
    rig.view.live = 1;
    EXPECT_TRUE(rig.pass(milliseconds(100)).outcome);
}

/// The partner is killed: it says nothing any more, and membership finds out.
void lose_partner(SessionRig& rig) {
    for (auto& other : rig.view.others) {
        if (other.id == kPartner) other.state = membership::MemberState::Failed;
    }
    --rig.view.live;
    (void)rig.down(kPartner);
}

TEST(TheEnd, SaysForWhomItWaitsAndNamesNobodyWhoWasKilled) {
    SessionRig rig;
    settle(rig);
    EXPECT_EQ(rig.session.waiting(rig.now), "the parameters to agree with 1 peer, for 0 s");
    (void)rig.pass(seconds(3));
    EXPECT_EQ(rig.session.waiting(rig.now), "the parameters to agree with 1 peer, for 3 s");
    lose_partner(rig);
    (void)rig.settle_down();
    EXPECT_EQ(rig.session.waiting(rig.now), "its evaluation of the test set, for 0 s");

    SessionRig last;
    evaluate(last);
    last.other(kNewcomer, PeerState::Lingering);
    tell_evaluation(last, 1, 8);
    ASSERT_EQ(last.session.state(), PeerState::Lingering);
    (void)last.pass(seconds(2));
    EXPECT_EQ(last.session.waiting(last.now), "1 peer to end, for 2 s") << "one is there already";
    lose_partner(last);
    EXPECT_TRUE(last.settle_down().outcome) << "nobody is left to wait for";
    EXPECT_EQ(last.session.waiting(last.now), "");
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

}  // namespace
}  // namespace starling::peer
