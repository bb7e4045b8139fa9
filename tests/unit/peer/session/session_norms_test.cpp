// Goal: when all agree, a session has batch norm's statistics drawn anew and joined with those of its partners before
// it evaluates, and neither a silent partner nor a slow trainer holds the end up for ever. Method: one session with a
// partner that the test plays, on a clock that it moves.

#include <gtest/gtest.h>

#include "tests/unit/peer/session/support/session_rig.hpp"

namespace starling::peer {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr double kSamples = 100.0;

SessionRig::Setup with_norms(std::size_t channels = 2) {
    SessionRig::Setup setup;
    setup.norms = channels;
    return setup;
}

compute::NormMoments seen(double mean) {
    return {kSamples, {mean, 0.0}, {1.0, 2.0}};
}

/// Brings a session so far that it and its partner agree.
Given agree(SessionRig& rig) {
    rig.other(kPartner);
    (void)rig.begin(Start::Found);
    (void)rig.tell_prepared();
    (void)rig.settle_down();
    rig.other(kPartner, PeerState::Settling).ending = true;
    (void)rig.up();
    (void)rig.settle_down();
    EXPECT_EQ(rig.session.state(), PeerState::Settling);
    auto given = rig.exchange(committed(0));
    given.add(rig.settle_down());
    return given;
}

Given tell_drawn(SessionRig& rig, std::uint64_t number, double mean) {
    rig.report.norms_drawn = number;
    rig.report.norms = std::make_shared<const compute::NormMoments>(seen(mean));
    auto given = rig.tell();
    given.add(rig.settle_down());
    return given;
}

Given hear(SessionRig& rig, std::uint32_t round, double mean) {
    auto given = rig.frame(kPartner, FrameType::Exchange, encode_norm_part({round, seen(mean)}));
    given.add(rig.settle_down());
    return given;
}

TEST(SessionNorms, AreDrawnJoinedAndSetBeforeTheEvaluation) {
    SessionRig rig(with_norms());
    auto given = agree(rig);
    ASSERT_FALSE(given.orders.empty());
    EXPECT_EQ(given.orders.back().norms_draw, 1U);
    EXPECT_EQ(given.orders.back().phase, TrainerPhase::Pause);
    EXPECT_EQ(given.orders.back().norms, nullptr);
    EXPECT_EQ(rig.session.state(), PeerState::Settling);
    given = tell_drawn(rig, 1, 4.0);
    ASSERT_EQ(given.count(FrameType::Exchange), 1U) << "the partner is sent our part";
    EXPECT_EQ(decode_norm_part(given.frames.back().payload)->moments, seen(4.0));
    EXPECT_EQ(rig.session.state(), PeerState::Settling);
    given = hear(rig, 0, 8.0);
    ASSERT_FALSE(given.orders.empty());
    const auto& order = given.orders.back();
    ASSERT_NE(order.norms, nullptr);
    EXPECT_EQ(order.norms_set, 1U);
    EXPECT_DOUBLE_EQ(order.norms->means[0], 6.0);
    EXPECT_DOUBLE_EQ(order.norms->variances[0], 5.0);
    EXPECT_EQ(rig.session.state(), PeerState::Settling) << "the trainer has not taken them yet";
    rig.report.norms_set = 1;
    given = rig.tell();
    given.add(rig.settle_down());
    ASSERT_EQ(rig.session.state(), PeerState::Evaluating);
    EXPECT_EQ(given.orders.back().phase, TrainerPhase::Evaluate);
}

TEST(SessionNorms, WhereThereAreNoneCostNothing) {
    SessionRig rig;
    const auto given = agree(rig);
    EXPECT_EQ(rig.session.state(), PeerState::Evaluating);
    EXPECT_EQ(given.count(FrameType::Exchange), 0U);
    EXPECT_EQ(given.orders.back().norms_draw, 0U);
    SessionRig alone(with_norms());
    (void)alone.begin(Start::Found);
    (void)alone.tell_prepared();
    alone.report.accuracy = 0.95;
    (void)alone.tell();
    (void)alone.pass(milliseconds(300));
    EXPECT_EQ(alone.session.state(), PeerState::Evaluating) << "there is nobody to join with";
}

TEST(SessionNorms, AreThoseOfTheLivingWhenAPartnerVanishes) {
    SessionRig rig(with_norms());
    (void)agree(rig);
    (void)tell_drawn(rig, 1, 4.0);
    rig.forget(kPartner);
    auto given = rig.down(kPartner);
    given.add(rig.pass(milliseconds(200)));
    ASSERT_FALSE(given.orders.empty());
    ASSERT_NE(given.orders.back().norms, nullptr);
    EXPECT_EQ(*given.orders.back().norms, seen(4.0));
    rig.report.norms_set = 1;
    (void)rig.tell();
    (void)rig.settle_down();
    EXPECT_EQ(rig.session.state(), PeerState::Evaluating);
}

TEST(SessionNorms, ASilentPartnerAndASlowTrainerEndByTime) {
    SessionRig silent(with_norms());
    (void)agree(silent);
    (void)tell_drawn(silent, 1, 4.0);
    const auto given = silent.pass(NormDraw::kGatherMax + milliseconds(100));
    EXPECT_EQ(*given.orders.back().norms, seen(4.0)) << "ours alone";
    SessionRig slow(with_norms());
    (void)agree(slow);
    auto noted = slow.pass(Ending::kSettleMax + seconds(1));
    EXPECT_EQ(slow.session.state(), PeerState::Settling) << "drawing may take longer than agreeing";
    noted.add(slow.pass(Ending::kNormsMax + seconds(1)));
    EXPECT_EQ(slow.session.state(), PeerState::Evaluating);
    ASSERT_EQ(noted.notes.size(), 1U);
    EXPECT_NE(noted.notes[0].find("not drawn anew in time"), std::string::npos);
}

TEST(SessionNorms, AMissedTargetDrawsThemAgainTheNextTime) {
    SessionRig rig(with_norms());
    (void)agree(rig);
    (void)tell_drawn(rig, 1, 4.0);
    (void)hear(rig, 0, 8.0);
    rig.report.norms_set = 1;
    (void)rig.tell();
    (void)rig.settle_down();
    ASSERT_EQ(rig.session.state(), PeerState::Evaluating);
    rig.report.evaluation = 1;
    rig.report.evaluated.result = {10.0, 1, 10};
    (void)rig.tell();
    (void)rig.settle_down();
    ASSERT_EQ(rig.session.state(), PeerState::Training);
    auto& partner = rig.other(kPartner, PeerState::Settling);
    partner.round = 1;
    (void)rig.pass(milliseconds(200));
    ASSERT_EQ(rig.session.state(), PeerState::Settling);
    auto given = rig.exchange(committed(0));
    given.add(rig.settle_down());
    EXPECT_EQ(given.orders.back().norms_draw, 2U);
    EXPECT_EQ(given.orders.back().norms, nullptr);
}

}  // namespace
}  // namespace starling::peer
