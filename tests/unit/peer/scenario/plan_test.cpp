// Goal: actions come when they are due, once, and are undone; what cannot be done fails the run.
// Method: made-up views and a made-up time. A small driver answers that all is done.

#include "peer/scenario/plan.hpp"

#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "peer/scenario/parse.hpp"
#include "peer/scenario/schedule.hpp"
#include "peer/scenario/words.hpp"

namespace starling::scenario {
namespace {

using namespace std::chrono_literals;

/// Peers that do at once what they are told.
class Driver {
public:
    explicit Driver(const std::string& text, const std::string& head = "quiet = \"0s\"\n")
        : scenario_(
              *parse(head + "calm = \"5s\"\n[swarm]\npeers = 3\n" + text, "file", Mode::Simulate)
          ),
          plan(scenario_, *expand(scenario_)) {
        view.peers.resize(3);
        for (auto& peer : view.peers) {
            peer.started = peer.running = peer.trains = true;
            peer.members = 3;
            peer.shards = 8;
        }
    }

    /// Runs for so long in steps of 100 ms and returns what was done, as `verb` or `end of verb`.
    std::vector<std::string> run(Duration time) {
        std::vector<std::string> done;
        for (const auto end = now_ + time; now_ < end; now_ += 100ms) {
            while (const auto order = plan.poll(now_, view)) {
                const auto& action = plan.action(*order);
                if (works) change(action, order->undo);
                done.push_back((order->undo ? "end of " : "") + to_string(action));
                plan.answer(
                    now_, *order, works ? Result<void>() : fail(FaultCode::Io, "no such process")
                );
            }
        }
        return done;
    }

    View view;
    bool works = true;

private:
    void change(const Action& action, bool undo) {
        for (const auto number : action.who.peers) {
            auto& peer = view.peers[number - 1];
            if (action.verb == Verb::Kill) peer.running = undo;
            if (action.verb == Verb::Restart) peer.running = true;
            if (action.verb == Verb::Pause) peer.paused = !undo;
            if (action.verb == Verb::Resume) peer.paused = false;
        }
    }

    Scenario scenario_;
    Instant now_{};

public:
    Plan plan;
};

using Done = std::vector<std::string>;

std::string step(const std::string& when, const std::string& what, const std::string& more = "") {
    return "[[step]]\nwhen = \"" + when + "\"\ndo = \"" + what + "\"\n" + more;
}

TEST(Plan, BeforeTheStormAllTrainInQuietForAMoment) {
    Driver driver(step("0s", "kill peer 2"), "quiet = \"3s\"\n");
    EXPECT_EQ(driver.run(2s), Done{});
    EXPECT_TRUE(driver.plan.quiet());
    driver.view.peers[0].trains = false;
    EXPECT_EQ(driver.run(200ms), Done{});
    driver.view.peers[0].trains = true;
    EXPECT_EQ(driver.run(2900ms), Done{});  // it begins anew
    EXPECT_EQ(driver.run(200ms), Done{"kill peer 2"});
    EXPECT_FALSE(driver.plan.quiet());
}

TEST(Plan, WhatHurtsNobodyOfTheCoreLastsThroughTheCalm) {
    Driver driver(
        step("0s", "pause peer 3") + step("0s", "pause peer 2"),
        "quiet = \"0s\"\ncore = \"peer 1,2\"\n"
    );
    const Done expected = {"pause peer 3", "pause peer 2", "end of pause peer 2"};
    EXPECT_EQ(driver.run(2s), expected);
    EXPECT_EQ(driver.plan.phase(), Phase::Calm);
    EXPECT_TRUE(driver.plan.settled());
    EXPECT_EQ(driver.run(10s), Done{});
    EXPECT_EQ(driver.plan.phase(), Phase::Over);
}

TEST(Plan, DeadlinesAreLongerWhereThingsAreSlow) {
    for (const double slowness : {1.0, 3.0}) {
        Driver driver(step("0s", "wait spread < 0.1", "deadline = \"5s\"\n"));
        for (auto& peer : driver.view.peers) peer.spread = 1;
        driver.plan.slow_down(slowness);
        driver.run(6s);
        EXPECT_EQ(driver.plan.failure().empty(), slowness > 1);
    }
}

TEST(Plan, NothingHappensBeforeAllTrain) {
    Driver driver(step("0s", "kill peer 2"));
    driver.view.peers[2].trains = false;
    EXPECT_EQ(driver.run(10s), Done{});
    EXPECT_EQ(driver.plan.phase(), Phase::Forming);
    driver.view.peers[2].trains = true;
    EXPECT_EQ(driver.run(200ms), Done{"kill peer 2"});
}

TEST(Plan, ASwarmThatDoesNotFormFailsTheRun) {
    Driver driver("");
    driver.view.peers[2].trains = false;
    EXPECT_EQ(driver.run(121s), Done{});
    EXPECT_EQ(driver.plan.phase(), Phase::Over);
    EXPECT_EQ(driver.plan.failure(), "not all peers train after 120s");
}

TEST(Plan, StepsComeInTheirOrderAndOnce) {
    Driver driver(
        step("all train", "kill peer 1") + step("+2s", "pause peer 2") +
        step("+1s", "restart peer 1") + step("+1s", "resume peer 2")
    );
    EXPECT_EQ(driver.run(1900ms), Done{"kill peer 1"});
    EXPECT_EQ(driver.run(1s), Done{"pause peer 2"});
    EXPECT_EQ(driver.run(1s), Done{"restart peer 1"});
    EXPECT_EQ(driver.run(1s), Done{"resume peer 2"});
    EXPECT_EQ(driver.plan.phase(), Phase::Calm);
    EXPECT_EQ(driver.run(10s), Done{});
    EXPECT_EQ(driver.plan.phase(), Phase::Over);
    EXPECT_EQ(driver.plan.failure(), "");
}

TEST(Plan, AFaultWithAnEndIsUndoneInTime) {
    Driver driver(
        step("1s", "pause peer 3", "for = \"2s\"\n") + step("after pause", "kill peer 1")
    );
    EXPECT_EQ(driver.run(1500ms), Done{"pause peer 3"});
    EXPECT_EQ(driver.run(3s), (Done{"end of pause peer 3", "kill peer 1"}));
}

TEST(Plan, TheCalmUndoesWhatHasNoEndButNoKill) {
    Driver driver(step("0s", "pause peer 3") + step("0s", "loss 20%") + step("0s", "kill peer 1"));
    EXPECT_EQ(
        driver.run(300ms),
        (Done{"pause peer 3", "loss 20%", "kill peer 1", "end of pause peer 3", "end of loss 20%"})
    );
    EXPECT_EQ(driver.plan.phase(), Phase::Calm);
    driver.view.peers[1].members = driver.view.peers[2].members = 2;
    EXPECT_EQ(driver.run(4s), Done{});
    EXPECT_EQ(driver.plan.phase(), Phase::Calm);
    EXPECT_EQ(driver.run(2s), Done{});
    EXPECT_EQ(driver.plan.phase(), Phase::Over);
}

TEST(Plan, AShortCalmLastsUntilAllAreThereButNoLongerThanTheyMayTake) {
    Driver driver(step("0s", "kill peer 1") + "[expect]\nwhole_within = \"20s\"\n");
    EXPECT_EQ(driver.run(10s), Done{"kill peer 1"});
    EXPECT_EQ(driver.plan.phase(), Phase::Calm);  // the others still list three
    driver.view.peers[1].members = driver.view.peers[2].members = 2;
    EXPECT_EQ(driver.run(200ms), Done{});
    EXPECT_EQ(driver.plan.phase(), Phase::Over);
    Driver apart(step("0s", "kill peer 1") + "[expect]\nwhole_within = \"20s\"\n");
    EXPECT_EQ(apart.run(21s), Done{"kill peer 1"});
    EXPECT_EQ(apart.plan.phase(), Phase::Over);
}

TEST(Plan, APeerThatIsAboutToEndIsNotHurtAgain) {
    Driver driver(step("0s", "pause peer 1", "deadline = \"1s\"\n"));
    driver.view.peers[0].leaving = true;
    EXPECT_EQ(driver.run(2s), Done{});
    EXPECT_NE(driver.plan.failure().find("about to end"), std::string::npos);
}

TEST(Plan, AConditionThatNeverHoldsFailsTheRunByItsName) {
    Driver driver(step("spread < 0.1 and whole", "kill peer 1", "deadline = \"3s\"\n"));
    driver.view.peers[1].spread = 0.5;
    EXPECT_EQ(driver.run(3500ms), Done{});
    EXPECT_EQ(driver.plan.phase(), Phase::Over);
    EXPECT_NE(driver.plan.failure().find("'spread < 0.1' did not hold after 3s"), std::string::npos)
        << driver.plan.failure();
}

TEST(Plan, AFaultThatCannotBeCarriedOutFailsTheRun) {
    Driver driver(step("0s", "kill peer 1"));
    driver.works = false;
    EXPECT_EQ(driver.run(1s), Done{"kill peer 1"});
    EXPECT_EQ(driver.plan.phase(), Phase::Over);
    EXPECT_NE(driver.plan.failure().find("no such process"), std::string::npos);
    Driver ended(step("0s", "kill peer 1", "deadline = \"1s\"\n"));
    ended.view.peers[0].ended = true;
    ended.view.peers[0].running = false;
    EXPECT_EQ(ended.run(2s), Done{});
    EXPECT_NE(ended.plan.failure().find("trained to its end"), std::string::npos);
}

TEST(Plan, AnOptionalStepIsLeftOutWhereItsVictimIsAway) {
    Driver driver(
        step("0s", "kill peer 1") + step("1s", "pause peer 1", "for = \"1s\"\noptional = true\n")
    );
    EXPECT_EQ(driver.run(3s), Done{"kill peer 1"});
    EXPECT_EQ(driver.plan.entries()[1].state, Entry::State::Skipped);
    EXPECT_EQ(driver.plan.entries()[1].why, "peer 1 does not run");
    EXPECT_EQ(driver.plan.phase(), Phase::Calm);
}

TEST(Plan, HealEndsCutsBeforeTheirTime) {
    Driver driver(step("0s", "isolate peer 1", "for = \"60s\"\n") + step("+1s", "heal"));
    EXPECT_EQ(driver.run(2s), (Done{"isolate peer 1", "heal"}));
    EXPECT_EQ(driver.plan.entries()[0].state, Entry::State::Undone);
    EXPECT_EQ(driver.plan.phase(), Phase::Calm);
}

TEST(Plan, WaitsForWhatAPeerSays) {
    auto scenario = *parse(
        "quiet = \"0s\"\n[swarm]\npeers = 3\n" + step("peer 2 says left", "kill peer 1"),
        "file",
        Mode::Loopback
    );
    Plan plan(scenario, *expand(scenario));
    View view;
    view.peers.resize(3);
    for (auto& peer : view.peers) peer.started = peer.running = peer.trains = true;
    EXPECT_FALSE(plan.poll(Instant{}, view));
    plan.handle_event(2, "failed");
    plan.handle_event(3, "left");
    EXPECT_FALSE(plan.poll(Instant{}, view));
    plan.handle_event(2, "left");
    EXPECT_TRUE(plan.poll(Instant{}, view));
}

TEST(Plan, AnOpenPlanTakesStepsAsTheyComeAndAFailureDoesNotEndIt) {
    Driver driver("");
    driver.view.peers[0].trains = false;  // it does not wait until all train
    driver.plan.open({});
    const auto add = [&](const std::string& action, Duration deadline = 1s) {
        Step made;
        made.action = *parse_action(action);
        made.when.kind = When::Kind::After;
        made.deadline = deadline;
        driver.plan.add(made);
    };
    EXPECT_EQ(driver.run(1s), Done{});
    add("kill peer 2");
    EXPECT_EQ(driver.run(1s), Done{"kill peer 2"});
    add("pause peer 2");
    add("pause peer 3");
    EXPECT_EQ(driver.run(3s), Done{"pause peer 3"});
    EXPECT_EQ(driver.plan.entries()[1].state, Entry::State::Failed);
    EXPECT_TRUE(driver.plan.failure().empty());
    EXPECT_EQ(driver.plan.phase(), Phase::Storm);
    driver.plan.close();
    EXPECT_EQ(driver.run(1s), Done{"end of pause peer 3"});
    EXPECT_EQ(driver.plan.phase(), Phase::Calm);
}

}  // namespace
}  // namespace starling::scenario
