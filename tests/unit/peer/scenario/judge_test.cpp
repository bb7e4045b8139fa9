// Goal: the judge finds what breaks an expectation, and nothing else. Method: made-up views.

#include "peer/scenario/judge.hpp"

#include <gtest/gtest.h>

#include "peer/scenario/history.hpp"

namespace starling::scenario {
namespace {

using namespace std::chrono_literals;

constexpr Instant kStart{};

Scenario of_three() {
    Scenario scenario;
    scenario.peers = 3;
    scenario.expect.whole_within = 10s;
    scenario.expect.no_exchange_for = 5s;
    scenario.expect.training_gap = 5s;
    return scenario;
}

View three_that_train() {
    View view;
    view.peers.resize(3);
    for (auto& peer : view.peers) {
        peer.started = peer.running = peer.trains = true;
        peer.state = "training";
        peer.members = 3;
    }
    return view;
}

/// Shows the judge peers that make progress.
void go_on(Judge& judge, View& view, Instant& now, Duration time) {
    for (const auto end = now + time; now < end; now += 100ms) {
        for (auto& peer : view.peers) {
            if (!peer.active()) continue;
            ++peer.steps;
            ++peer.exchanges;
        }
        judge.observe(now, view, true);
    }
}

TEST(Judge, ARunThatGoesWellIsClean) {
    Judge judge(of_three());
    auto view = three_that_train();
    auto now = kStart;
    go_on(judge, view, now, 30s);
    judge.fault_begins(now, {1}, false);
    view.peers[0].running = false;
    go_on(judge, view, now, 4s);
    view.peers[1].members = view.peers[2].members = 2;
    go_on(judge, view, now, 30s);
    judge.calm_over(now, view, {});
    EXPECT_EQ(judge.count(), 0U);
    EXPECT_NEAR(judge.measures().whole_max, 4.0, 0.2);
    EXPECT_EQ(judge.measures().times_whole, 1U);
    EXPECT_EQ(verdict_line(judge, 1).substr(0, 6), "clean:");
}

TEST(Judge, ASwarmThatStaysApartIsFoundOnceWithWhatPeersSee) {
    Judge judge(of_three());
    auto view = three_that_train();
    auto now = kStart;
    judge.fault_begins(now, {1}, false);
    view.peers[0].running = false;
    go_on(judge, view, now, 30s);
    judge.calm_over(now, view, {});
    ASSERT_EQ(judge.count(), 1U);
    EXPECT_NEAR(judge.findings()[0].at, 10.1, 0.2);
    ASSERT_EQ(judge.findings()[0].evidence.size(), 2U);
    EXPECT_NE(judge.findings()[0].evidence[0].find("lists 3 alive"), std::string::npos);
}

TEST(Judge, ACutDoesNotCountUntilItIsOver) {
    Judge judge(of_three());
    auto view = three_that_train();
    auto now = kStart;
    judge.fault_begins(now, {}, true);
    for (auto& peer : view.peers) peer.members = 1;
    for (; now < kStart + 60s; now += 100ms) {
        ++view.peers[0].steps;
        ++view.peers[0].exchanges;
        judge.observe(now, view, false);
    }
    judge.fault_ends(now, {});
    go_on(judge, view, now, 5s);
    for (auto& peer : view.peers) peer.members = 3;
    go_on(judge, view, now, 5s);
    EXPECT_EQ(judge.count(), 0U);
    EXPECT_NEAR(judge.measures().whole_max, 5.0, 0.2);
}

TEST(Judge, GapsOfExchangesAndOfStepsAreFoundOnce) {
    Judge judge(of_three());
    auto view = three_that_train();
    auto now = kStart;
    go_on(judge, view, now, 2s);
    for (; now < kStart + 20s; now += 100ms) judge.observe(now, view, true);
    EXPECT_EQ(judge.count(), 2U);
    EXPECT_NEAR(judge.measures().exchange_gap, 18.0, 0.2);
    EXPECT_NEAR(judge.measures().training_gap, 18.0, 0.2);
    // Where nobody runs, nobody has to make progress.
    for (auto& peer : view.peers) peer.running = false;
    for (; now < kStart + 60s; now += 100ms) judge.observe(now, view, true);
    EXPECT_LT(judge.measures().training_gap, 19.0);
}

TEST(Judge, AFalseFailureIsOneOfAPeerThatWasLeftAlone) {
    Judge judge(of_three());
    auto view = three_that_train();
    auto now = kStart;
    go_on(judge, view, now, 30s);
    judge.fault_begins(now, {2}, true);
    judge.called_failed(now + 1s, 1, 2, view);  // it is paused
    judge.called_failed(now + 1s, 2, 1, view);  // by a peer that is paused
    judge.fault_ends(now + 2s, {2});
    judge.called_failed(now + 3s, 1, 2, view);  // just after
    view.peers[1].running = false;
    judge.called_failed(now + 60s, 1, 2, view);  // it is dead
    judge.called_failed(now + 60s, 1, 9, view);  // nobody has this number
    EXPECT_EQ(judge.count(), 0U);
    judge.called_failed(now + 60s, 1, 3, view);
    EXPECT_EQ(judge.count(), 1U);
    EXPECT_EQ(judge.measures().false_failures, 1U);
}

TEST(Judge, LinesOnStderrAreHeldAgainstTheList) {
    auto scenario = of_three();
    scenario.expect.errors = std::vector<std::string>{"slow"};
    Judge judge(scenario);
    judge.error_line(kStart, 1, "a slow disk");
    EXPECT_EQ(judge.count(), 0U);
    judge.error_line(kStart, 2, "an odd disk");
    ASSERT_EQ(judge.count(), 1U);
    EXPECT_EQ(judge.findings()[0].evidence[0], "an odd disk");
}

TEST(Judge, FindingsAreBounded) {
    Judge judge(of_three());
    for (std::size_t i = 0; i < kFindingsMax + 5; ++i) judge.add(kStart, "again");
    EXPECT_EQ(judge.findings().size(), kFindingsMax);
    EXPECT_EQ(judge.count(), kFindingsMax + 5);
}

TEST(History, IsBoundedAndKeepsTheWholeRun) {
    History history;
    auto view = three_that_train();
    auto now = kStart;
    for (; now < kStart + 10'000s; now += 1s) {
        ++view.peers[0].steps;
        if (now == kStart + 5'000s) view.peers.resize(4);
        history.observe(now, view);
    }
    const auto count = history.times().size();
    EXPECT_LE(count, History::kSamplesMax);
    EXPECT_GT(count, History::kSamplesMax / 4);
    ASSERT_EQ(history.peers().size(), 4U);
    for (const auto& series : history.peers()) EXPECT_EQ(series.size(), count);
    EXPECT_EQ(history.times().front(), 0.0);
    EXPECT_GT(history.times().back(), 9'900.0);
    for (std::size_t i = 0; i < count; ++i) {
        EXPECT_EQ(history.peers()[0][i].steps, static_cast<std::uint64_t>(history.times()[i]) + 1);
    }
    EXPECT_EQ(history.peers()[3].front().state, "absent");
}

TEST(Judge, WhoIsToldToLeaveMustNotBeCalledFailed) {
    Judge judge(of_three(), kStart);
    auto view = three_that_train();
    const auto now = kStart + 20s;
    view.peers[1].running = false;
    judge.called_failed(now, 1, 2, view);
    EXPECT_EQ(judge.count(), 0U);
    judge.says_goodbye(now, 2);
    judge.called_failed(now + 5s, 1, 2, view);
    ASSERT_EQ(judge.count(), 1U);
    EXPECT_EQ(judge.findings()[0].what, "peer 2 was told to leave, and was called failed");
}

TEST(Judge, FailuresAndSuspicionsAreCountedWhereTheFileSaysHowMany) {
    auto scenario = of_three();
    scenario.expect.failures = 1;
    scenario.expect.suspicions = 2;
    Judge judge(scenario, kStart);
    auto view = three_that_train();
    judge.fault_begins(kStart, {}, true);  // whatever was done to them
    for (int i = 0; i < 4; ++i) judge.suspected(kStart + 1s, 1, 2, view);
    ASSERT_EQ(judge.count(), 1U);  // once, however many more
    EXPECT_EQ(judge.findings()[0].what, "peers were suspected 3 times while they ran");
    judge.called_failed(kStart + 2s, 1, 2, view);
    EXPECT_EQ(judge.count(), 1U);
    judge.called_failed(kStart + 2s, 3, 2, view);
    EXPECT_EQ(judge.count(), 2U);
    view.peers[1].running = false;
    judge.called_failed(kStart + 2s, 1, 2, view);
    EXPECT_EQ(judge.count(), 2U);
}

TEST(Judge, LimitsAreLongerWhereThingsAreSlow) {
    for (const bool slow : {false, true}) {
        Judge judge(of_three(), kStart);
        auto view = three_that_train();
        auto now = kStart;
        for (; now < kStart + 10s; now += slow ? 500ms : 100ms) {
            for (auto& peer : view.peers) ++peer.steps, ++peer.exchanges;
            judge.observe_quiet(now, view);
        }
        EXPECT_EQ(judge.slowness() > 3, slow);
        for (const auto end = now + 8s; now < end; now += 100ms) judge.observe(now, view, false);
        EXPECT_EQ(
            judge.count() == 0, slow
        );  // nobody steps or exchanges for 8 s, and the limit is 5 s
    }
}

}  // namespace
}  // namespace starling::scenario
