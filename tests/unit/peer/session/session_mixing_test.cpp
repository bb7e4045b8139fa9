// Goal: a session averages as often as its swarm asks or as it measures, and counts in pairs by its speed.
// Method: one session among peers that the test plays, on a clock that it moves.

#include <functional>
#include <gtest/gtest.h>

#include "tests/unit/peer/session/support/session_rig.hpp"

namespace starling::peer {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

void train(SessionRig& rig) {
    (void)rig.begin(Start::Found);
    (void)rig.tell_prepared();
    (void)rig.settle_down();
    ASSERT_EQ(rig.session.state(), PeerState::Training);
}

/// Trains 250 samples a second for 40 s, and returns the weight in pairs of the last moment.
std::optional<std::int8_t> weight_after_measuring(const SessionRig::Setup& setup) {
    SessionRig rig(setup);
    train(rig);
    rig.other(kPartner);
    for (int i = 0; i < 400; ++i) {
        rig.report.samples += 25;
        ++rig.report.steps;
        (void)rig.tell();
        (void)rig.pass(milliseconds(100));
    }
    const auto changes = rig.averager.counters().weight_changes;
    EXPECT_EQ(changes, rig.session.mix_weight() ? 1U : 0U) << "averaging knows it";
    return rig.session.mix_weight();
}

TEST(ATrainingPeer, CountsInPairsByTheSpeedThatItHasMeasured) {
    EXPECT_EQ(weight_after_measuring({{}, 8}), 8) << "256 is near 250";
}

TEST(ATrainingPeer, CountsAsAnyOtherWhereDataDifferOrTheRuleKnowsNoWeights) {
    const std::function<void(Descriptor&)> unlike[] = {
        [](Descriptor& d) { d.manifest.mode = data::DataMode::Private; },
        [](Descriptor& d) { d.manifest.partition = "iid?owners=1", d.manifest.partitions = 1; },
        [](Descriptor& d) { d.mix = "noloco"; },
        [](Descriptor& d) { d.mix = "push-sum"; },
    };
    for (const auto& change : unlike) {
        EXPECT_EQ(weight_after_measuring({change, 8}), std::nullopt);
    }
}

TEST(MixingByTime, AsksTheTrainerForTheNextExchangeWhenTheLastHasEnded) {
    SessionRig rig({[](Descriptor& d) { d.mix_every.by = MixBy::Auto; }});
    EXPECT_EQ(rig.begin(Start::Found).mix_from, Instant{}) << "after the first step";
    (void)rig.tell_prepared();
    (void)rig.settle_down();
    auto given = rig.mix_due();
    EXPECT_EQ(given.opened, 0U) << "it is alone";
    EXPECT_EQ(given.mix_from, rig.now + milliseconds(250));
    rig.other(kPartner);
    (void)rig.pass(milliseconds(250));
    given = rig.mix_due();
    EXPECT_EQ(given.opened, 1U);
    EXPECT_EQ(given.mix_from, std::nullopt) << "not while one runs";
    const auto begun = rig.now;
    rig.now += milliseconds(5);
    gossip::ExchangeEvent event;
    event.partner = kPartner;
    event.initiator = true;
    event.relative_distance = 1e-6;
    // 2 ms of cost ask for 0.2 s, twice the interval before.
    EXPECT_EQ(rig.exchange(event, milliseconds(2)).mix_from, begun + milliseconds(200));
}

TEST(TheLearningRate, FollowsTheNumberOfPeersThatAverageIfThatIsAskedFor) {
    for (const bool scales : {false, true}) {
        SessionRig rig({[=](Descriptor& d) {
            d.optimizer = scales ? "adamw?scale=auto" : "adamw?lr=0.001";
        }});
        train(rig);
        for (const auto n : {20, 21, 22}) rig.other(peer_id(static_cast<std::uint8_t>(n)));
        EXPECT_EQ(rig.pass(seconds(30)).rate_factor, std::nullopt) << "it has met nobody";
        // What a partner has, and asks for, is what we have.
        rig.average_with(peer_id(20));
        const auto told = rig.pass(seconds(60)).rate_factor;
        EXPECT_EQ(told.has_value(), scales);
        EXPECT_NEAR(told.value_or(2.0), 2.0, 0.02);
        EXPECT_EQ(rig.session.rate_factor().has_value(), scales);
    }
}

TEST(MixingByTime, ThatWasAskedForIsKept) {
    SessionRig rig({[](Descriptor& d) { d.mix_every = {MixBy::Time, 8, milliseconds(500)}; }});
    train(rig);
    ASSERT_TRUE(rig.session.interval().has_value());
    EXPECT_EQ(rig.session.interval()->interval(), milliseconds(500));
}

TEST(MixingByTime, IsNotWhereStepsAreCounted) {
    for (const bool sync : {false, true}) {
        SessionRig rig({[=](Descriptor& d) {
            d.sync = sync;
            if (sync) d.mix_every.by = MixBy::Auto;
        }});
        EXPECT_EQ(rig.begin(Start::Found).mix_from, std::nullopt);
        EXPECT_FALSE(rig.session.interval().has_value());
    }
}

}  // namespace
}  // namespace starling::peer
