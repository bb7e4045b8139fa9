// Goal: the calm shows who stands still, what part of the data was lost, whether averaging moves the mean and whose
// memory grows; and a swarm that is well shows nothing. Method: made-up views.

#include "peer/scenario/calm.hpp"

#include <array>
#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace starling::scenario {
namespace {

using namespace std::chrono_literals;

View that_trains(std::size_t peers) {
    View view;
    view.peers.resize(peers);
    for (auto& peer : view.peers) {
        peer.started = peer.running = peer.trains = true;
        peer.state = "training";
        peer.members = peers;
        peer.shards = 16;
    }
    return view;
}

/// Time goes on from test to test.
Instant at{};

/// Lets all peers but one go on for ten looks.
void go_on(
    Calm& calm,
    View& view,
    std::size_t but = 1000,
    bool exchanges_too = true,
    Duration look_every = 2s
) {
    Instant now{};
    calm.observe(now, view);
    for (int look = 0; look < 10; ++look) {
        now += look_every;
        for (std::size_t i = 0; i < view.peers.size(); ++i) {
            if (i != but) view.peers[i].steps += 10;
            if (i != but || !exchanges_too) view.peers[i].exchanges += 3;
        }
        calm.observe(now, view);
    }
}

std::vector<std::string> found(const Calm& calm) {
    std::vector<std::string> all;
    for (const auto& [what, evidence] : calm.judge()) all.push_back(what);
    return all;
}

TEST(Calm, WhoGoesOnIsNoFinding) {
    Calm calm({});
    auto view = that_trains(4);
    for (int i = 0; i < 3; ++i) calm.before(at += 1s, view);
    go_on(calm, view);
    EXPECT_TRUE(found(calm).empty());
}

TEST(Calm, WhoStandsStillAmongOthersIsFound) {
    Calm calm({});
    auto view = that_trains(4);
    go_on(calm, view, 2);
    const std::vector<std::string> expected = {
        "peer 3 made no step in the calm, and the others made 100",
        "peer 3 made no exchange in the calm, and the others made 30"};
    EXPECT_EQ(found(calm), expected);
}

TEST(Calm, WhoHasNoShardOrEndsNeedNotStep) {
    Calm calm({});
    auto view = that_trains(4);
    view.peers[2].shards = 0;
    go_on(calm, view, 2, false);
    EXPECT_TRUE(found(calm).empty());
    Calm other({});
    go_on(other, view, 1);
    view.peers[1].trains = false;
    other.observe(Instant{} + 30s, view);
    EXPECT_TRUE(found(other).empty());
}

TEST(Calm, WithoutMixingNobodyNeedsToExchange) {
    Scenario scenario;
    scenario.train = {{"mix", "none", {}}};
    Calm calm(scenario);
    auto view = that_trains(3);
    calm.observe(Instant{} + 30s, view);
    for (auto& peer : view.peers) peer.steps += 100;
    view.peers[0].exchanges = view.peers[1].exchanges = 50;
    calm.observe(Instant{} + 30s, view);
    EXPECT_TRUE(found(calm).empty());
}

TEST(Calm, WhoStaysOutsideTheSumIsFound) {
    Calm calm({});
    auto view = that_trains(3);
    view.peers[1].ghost = true;
    go_on(calm, view);
    ASSERT_EQ(found(calm).size(), 1U);
    EXPECT_EQ(found(calm)[0], "peer 2 stands outside the sum after 30 exchanges");
}

TEST(Calm, ShardsThatNobodyTookOverAreFound) {
    Calm calm({});
    auto view = that_trains(4);
    for (int i = 0; i < 3; ++i) calm.before(at += 1s, view);
    view.peers[3].running = false;
    for (auto& peer : view.peers) peer.members = 3;
    go_on(calm, view);
    ASSERT_EQ(found(calm).size(), 1U);
    EXPECT_EQ(found(calm)[0], "of 64 training shards 16 were nobody's duty in the calm");
    view.peers[0].shards = 32;
    calm.observe(Instant{} + 30s, view);
    EXPECT_TRUE(found(calm).empty());
}

TEST(Calm, WhatPeersSayAtFirstIsNotBelieved) {
    Calm calm({});
    auto view = that_trains(4);
    for (auto& peer : view.peers) peer.shards = 64;  // each thinks that it is alone
    calm.before(at += 1s, view);
    for (auto& peer : view.peers) peer.shards = 16;
    go_on(calm, view);
    EXPECT_TRUE(found(calm).empty());
}

TEST(Calm, OwnersOfTheirDataTakeItWithThem) {
    for (const auto* key : {"partition", "private"}) {
        Scenario scenario;
        scenario.train = {{key, "true", {}}};
        Calm calm(scenario);
        auto view = that_trains(4);
        for (int i = 0; i < 3; ++i) calm.before(at += 1s, view);
        view.peers[3].running = false;
        go_on(calm, view);
        EXPECT_TRUE(found(calm).empty());
    }
}

TEST(Calm, WhoHasNoStreamsYetNeedsNotExchange) {
    Calm calm({});
    auto view = that_trains(4);
    view.peers[2].shards = 0;
    go_on(calm, view, 2, true, 1s);
    EXPECT_TRUE(found(calm).empty());
}

TEST(Calm, ADutyThatTwoPeersClaimForAMomentIsNoLoss) {
    Calm calm({});
    auto view = that_trains(4);
    view.peers[3].shards = 40;
    calm.before(at += 1s, view);
    view.peers[3].shards = 16;
    for (int i = 0; i < 3; ++i) calm.before(at += 1s, view);
    go_on(calm, view);
    EXPECT_TRUE(found(calm).empty());
}

TEST(Calm, MoreDutiesThanThereAreShardsAreNoneThatCouldBeLost) {
    for (const bool known : {false, true}) {
        Calm calm({});
        if (known) calm.know_shards(64);
        auto view = that_trains(4);
        view.peers[3].shards = 51;  // for long two peers believe that the same ones are theirs
        for (int i = 0; i < 3; ++i) calm.before(at += 1s, view);
        view.peers[3].shards = 16;
        go_on(calm, view);
        EXPECT_EQ(found(calm).empty(), known);
    }
    Calm calm({});
    calm.know_shards(64);
    auto view = that_trains(4);
    for (int i = 0; i < 3; ++i) calm.before(at += 1s, view);
    view.peers[3].shards = 0;  // a death takes more than what is forgiven
    go_on(calm, view);
    EXPECT_EQ(found(calm).size(), 1U);
}

TEST(Calm, AMeanThatAveragingMovesIsFound) {
    const std::array<double, 2> kept = {1e-9, -1e-9};
    const std::array<double, 2> moved = {1.0, -1.0};
    for (const bool sound : {true, false}) {
        Calm calm({});
        for (int i = 0; i < 20; ++i) calm.averaged(sound ? kept : moved, 2.0);
        EXPECT_EQ(found(calm).empty(), sound);
    }
    // One exchange broke off in its middle.
    Calm calm({});
    for (int i = 0; i < 20; ++i) calm.averaged(i == 7 ? moved : kept, 2.0);
    EXPECT_TRUE(found(calm).empty());
}

TEST(Calm, WhatTheFileTurnsOffIsNotJudged) {
    Scenario scenario;
    scenario.expect.progress = scenario.expect.shards = scenario.expect.mean_kept = false;
    Calm calm(scenario);
    auto view = that_trains(4);
    for (int i = 0; i < 3; ++i) calm.before(at += 1s, view);
    view.peers[3].running = false;
    go_on(calm, view, 1);
    const std::array<double, 1> moved = {1.0};
    for (int i = 0; i < 20; ++i) calm.averaged(moved, 1.0);
    EXPECT_TRUE(found(calm).empty());
}

TEST(Grown, CountsOverTheSecondHalfOfTheLastLife) {
    History history;
    auto view = that_trains(3);
    for (int second = 0; second < 60; ++second) {
        view.peers[0].memory = 1'000'000;
        view.peers[1].memory = 1'000'000 + static_cast<std::uint64_t>(second) * 100'000;
        // It grew in its first life, and is small in its second one.
        view.peers[2].memory = second == 20 ? 0 : second < 20 ? 9'000'000 : 2'000'000;
        history.observe(Instant{} + std::chrono::seconds(second), view);
    }
    const auto all = grown(history, 1'000'000);
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0].substr(0, 26), "the memory of peer 2 grew ");
    EXPECT_TRUE(grown(history, 4'000'000).empty());
}

}  // namespace
}  // namespace starling::scenario
