// Goal: a peer trains on as much as its shards lack, whatever others do, and waits for nobody for ever. Method: numbers
// and views by hand.

#include "peer/session/epoch_goal.hpp"

#include <gtest/gtest.h>

#include "tests/unit/peer/session/support/small_swarm.hpp"

namespace starling::peer {
namespace {

EpochGoal goal(const char* until, std::uint32_t batch = 64) {
    return {*Until::parse(until), batch};
}

TEST(EpochGoal, IsAPlaceThatEveryShardReaches) {
    EXPECT_EQ(goal("epochs=3").target(), (DutyPlace{3, 0}));
    EXPECT_EQ(goal("epochs=1.5").target(), (DutyPlace{1, 32768}));
    EXPECT_EQ(goal("epochs=0.001").target(), (DutyPlace{0, 65}));
    for (const auto* other : {"samples=100", "steps=3", "auc=0.5", ""}) {
        auto none = goal(other);
        EXPECT_FALSE(none.target().has_value()) << other;
        EXPECT_FALSE(none.due(100, 1));
        EXPECT_FALSE(none.limit().has_value());
        EXPECT_FALSE(none.used_up(1'000'000));
        EXPECT_FALSE(none.done(1'000'000, 1));
    }
}

TEST(EpochGoal, GivesWholeBatchesUntilTheShardsHaveAllTheyLack) {
    auto ours = goal("epochs=2");
    EXPECT_EQ(ours.limit(), 0U) << "nothing before it knows what is lacking";
    EXPECT_TRUE(ours.due(0, 1));
    EXPECT_TRUE(ours.update(0, 1, 100.0));
    EXPECT_EQ(ours.limit(), 128U);
    EXPECT_FALSE(ours.due(64, 1)) << "a batch is left";
    EXPECT_FALSE(ours.used_up(64));
    EXPECT_FALSE(ours.done(64, 1));
    EXPECT_TRUE(ours.used_up(128));
    // Places are rounded down, so a little may be lacking still.
    EXPECT_TRUE(ours.due(128, 1));
    EXPECT_TRUE(ours.update(128, 1, 0.01));
    EXPECT_EQ(ours.limit(), 192U);
    EXPECT_TRUE(ours.due(192, 1));
    EXPECT_FALSE(ours.update(192, 1, 0.0));
    EXPECT_TRUE(ours.done(192, 1));
    // An heir has more to do, and who loses shards has less.
    EXPECT_FALSE(ours.done(192, 2)) << "what its new shards lack is not known yet";
    EXPECT_TRUE(ours.due(192, 2));
    EXPECT_TRUE(ours.update(192, 2, 640.0));
    EXPECT_FALSE(ours.done(192, 2));
    EXPECT_TRUE(ours.update(256, 3, 0.0));
    EXPECT_TRUE(ours.done(256, 3));
}

TEST(EpochGoal, WaitsForWhoMakesProgressAndForWhoIsSlow) {
    auto ours = goal("epochs=2");
    SwarmView view;
    SeenPeer other;
    other.id = kPartner;
    other.record.emplace().samples = 10;
    other.record->samples_per_s = 640;
    view.others = {other};
    Instant now{std::chrono::seconds(1000)};
    const std::vector<PeerId> late{kPartner};
    EXPECT_FALSE(ours.stuck(now, late)) << "nothing is known of it";
    ours.hear(now, kSelf, 0, view);
    now += std::chrono::seconds(59);
    ours.hear(now, kSelf, 0, view);
    EXPECT_FALSE(ours.stuck(now, late));
    view.others[0].record->samples = 74;
    ours.hear(now, kSelf, 0, view);
    now += std::chrono::seconds(59);
    EXPECT_FALSE(ours.stuck(now, late));
    now += std::chrono::seconds(2);
    EXPECT_TRUE(ours.stuck(now, late));
    EXPECT_FALSE(ours.stuck(now, std::vector<PeerId>{kPartner, kNewcomer})) << "one of them is not";
    EXPECT_TRUE(ours.stuck(now, std::vector<PeerId>{kSelf}));
    // A step of 100 s is no reason to go without it.
    view.others[0].record->samples = 138;
    view.others[0].record->samples_per_s = 0.64F;
    ours.hear(now, kSelf, 0, view);
    now += std::chrono::seconds(390);
    EXPECT_FALSE(ours.stuck(now, late));
    now += std::chrono::seconds(20);
    EXPECT_TRUE(ours.stuck(now, late));
    // Another life begins anew.
    view.others[0].state = membership::MemberState::Failed;
    ours.hear(now, kSelf, 0, view);
    EXPECT_FALSE(ours.stuck(now, late));
}

TEST(EpochGoal, WaitsLongerWhereCountersComeRarely) {
    auto ours = goal("epochs=2");
    SwarmView view;
    view.records_every = std::chrono::seconds(100);
    SeenPeer other;
    other.id = kPartner;
    other.record.emplace().samples = 10;
    view.others = {other};
    const Instant now{std::chrono::seconds(1000)};
    ours.hear(now, kSelf, 0, view);
    const std::vector<PeerId> late{kPartner};
    EXPECT_FALSE(ours.stuck(now + std::chrono::seconds(299), late));
    EXPECT_TRUE(ours.stuck(now + std::chrono::seconds(301), late));
}

}  // namespace
}  // namespace starling::peer
