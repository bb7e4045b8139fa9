// Goal: where samples are private a session trains on all of its own, judges by what all say together,
// and says of its own samples no more than it should. Method: one session with shards of its own, among
// peers that the test plays.

#include <algorithm>
#include <gtest/gtest.h>

#include "tests/unit/peer/session/support/session_rig.hpp"

namespace starling::peer {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

SessionRig::Setup own(UntilKind kind, double value) {
    return {[=](Descriptor& d) {
        d.until = {kind, value};
        d.batch = 1;
        d.manifest.mode = data::DataMode::Private;
    }};
}

void train(SessionRig& rig) {
    (void)rig.begin(Start::Found);
    (void)rig.tell_prepared();
    (void)rig.settle_down();
    ASSERT_EQ(rig.session.state(), PeerState::Training);
}

TEST(PrivateSession, TrainsOnAllOfItsOwnSamplesWhoeverElseTrains) {
    SessionRig rig(own(UntilKind::Forever, 0));
    rig.other(kPartner);
    train(rig);
    EXPECT_EQ(rig.session.roster().duties().train.size(), 8U);
    const auto record = rig.session.record();
    EXPECT_EQ(record.own_train, rig.shards.manifest().samples(data::Split::Train));
    EXPECT_EQ(record.own_judged, rig.shards.manifest().samples(data::Split::Test));
    EXPECT_GT(record.own_judged, 0U);
}

TEST(PrivateSession, WithoutSamplesItAveragesAndSaysWhy) {
    SessionRig rig({[](Descriptor& d) {
        d.manifest.mode = data::DataMode::Private;
        d.manifest.shards.clear();
    }});
    rig.sharded.shards.clear();
    rig.other(kPartner);
    train(rig);
    EXPECT_EQ(rig.session.record().shards, 0U);
    const auto waiting = rig.session.waiting(rig.now);
    EXPECT_EQ(waiting.find("samples of its own to train on"), 0U) << waiting;
    EXPECT_EQ(waiting.find("belong to other peers"), std::string::npos) << waiting;
}

TEST(PrivateSession, EpochsAreOfItsOwnSamples) {
    SessionRig rig(own(UntilKind::Epochs, 2));
    train(rig);
    const auto steps = 2 * rig.shards.manifest().samples(data::Split::Train);
    rig.report.steps = steps - 1;
    rig.report.samples = 1'000'000;  // what the others make does not count
    (void)rig.tell();
    (void)rig.pass(seconds(1));
    EXPECT_FALSE(rig.session.record().reached);
    rig.report.steps = steps;
    (void)rig.tell();
    (void)rig.pass(seconds(1));
    EXPECT_TRUE(rig.session.record().reached);
}

TEST(PrivateSession, TheTargetIsHeldAgainstTheMeanOverAllSamples) {
    SessionRig rig(own(UntilKind::Accuracy, 0.8));
    auto& other = rig.other(kPartner);
    train(rig);
    const auto mine = rig.session.record().own_judged;
    rig.report.accuracy = 0.9;
    rig.report.test_loss = 0.1;
    // Three times as many samples at 0.7 make 0.75 of all.
    other.own_judged = 3 * mine;
    other.accuracy = 0.7F;
    (void)rig.tell();
    (void)rig.pass(seconds(1));
    EXPECT_FALSE(rig.session.record().reached) << "its own samples alone are above the target";
    other.accuracy = 0.78F;
    (void)rig.pass(seconds(1));
    EXPECT_TRUE(rig.session.record().reached);
}

TEST(PrivateSession, WhoSaysNothingOfItsQualityDoesNotCountInTheMean) {
    SessionRig rig(own(UntilKind::Accuracy, 0.8));
    auto& other = rig.other(kPartner);
    train(rig);
    other.own_judged = 1'000'000;
    other.accuracy = -1;
    rig.report.accuracy = 0.85;
    (void)rig.tell();
    (void)rig.pass(seconds(1));
    EXPECT_TRUE(rig.session.record().reached);
}

}  // namespace
}  // namespace starling::peer
