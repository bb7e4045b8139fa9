// Goal: what holds at one moment, and nothing else, is what the links suffer from.
// Method: made-up entries in the states that a plan gives them.

#include "peer/scenario/links.hpp"

#include <gtest/gtest.h>
#include <set>
#include <string>
#include <vector>

#include "peer/scenario/words.hpp"

namespace starling::scenario {
namespace {

using namespace std::chrono_literals;

Entry entry(const std::string& action, Entry::State state = Entry::State::Done) {
    Entry made;
    made.step.action = *parse_action(action);
    made.state = state;
    return made;
}

TEST(LinkFaults, CutsStopBothWaysAndOneWayOne) {
    const auto faults = link_faults(
        {entry("cut peer 1 | peer 2"), entry("one-way peer 3 > peer 1"), entry("block-tcp peer 2")},
        3
    );
    using What = Barrier::What;
    const std::vector<Barrier> expected = {
        {{1}, {2}, What::Everything},
        {{2}, {1}, What::Everything},
        {{3}, {1}, What::Everything},
        {{2}, {1, 2, 3}, What::Streams},
        {{1, 2, 3}, {2}, What::Streams}};
    EXPECT_EQ(faults.barriers, expected);
}

TEST(LinkFaults, WhatIsOnSomePeersLeavesTheOthersAlone) {
    auto faults = link_faults(
        {entry("loss 5%"), entry("loss 20% on peer 2"), entry("delay 1s on peer 1 > peer 3")}, 3
    );
    EXPECT_EQ(faults.loss, 0.05);
    EXPECT_FALSE(faults.delay);
    ASSERT_EQ(faults.parts.size(), 2U);
    EXPECT_EQ(faults.parts[0].from, std::vector<std::size_t>{2});
    EXPECT_TRUE(faults.parts[0].to.empty());
    EXPECT_EQ(faults.parts[0].values.loss, 0.2);
    EXPECT_EQ(faults.parts[1].to, std::vector<std::size_t>{3});
    EXPECT_EQ(faults.parts[1].values.delay, Duration(1s));
}

/// Whom each of n peers reaches, itself included.
std::vector<std::set<std::size_t>> reached(const std::string& verb, std::size_t n) {
    auto made = entry(verb);
    std::vector<std::size_t> all;
    for (std::size_t i = 1; i <= n; ++i) all.push_back(i);
    made.step.action.who = these(all);
    std::vector<std::set<std::size_t>> reach(n, std::set<std::size_t>(all.begin(), all.end()));
    for (const auto& barrier : link_faults({made}, n).barriers) {
        for (const auto from : barrier.from) {
            for (const auto to : barrier.to) reach[from - 1].erase(to);
        }
    }
    return reach;
}

TEST(LinkFaults, InARingOfMajoritiesEachReachesAMajorityAndNoTwoTheSame) {
    for (std::size_t n = 5; n <= 12; ++n) {
        const auto reach = reached("majorities-ring", n);
        for (std::size_t i = 0; i < n; ++i) {
            EXPECT_GT(2 * reach[i].size(), n) << n;
            EXPECT_LT(reach[i].size(), n) << n;
            for (const auto other : reach[i]) EXPECT_TRUE(reach[other - 1].contains(i + 1)) << n;
        }
        const std::set<std::set<std::size_t>> views(reach.begin(), reach.end());
        EXPECT_EQ(views.size(), n);
    }
}

TEST(LinkFaults, ABridgeReachesAllAndTheHalvesOnlyIt) {
    const auto reach = reached("bridge", 5);
    const std::vector<std::set<std::size_t>> expected = {
        {1, 2, 3, 4, 5}, {1, 2, 3}, {1, 2, 3}, {1, 4, 5}, {1, 4, 5}};
    EXPECT_EQ(reach, expected);
}

TEST(LinkFaults, OnlyWhatHoldsCounts) {
    using State = Entry::State;
    const auto faults = link_faults(
        {entry("loss 20%", State::Undone),
         entry("isolate peer 1", State::Waiting),
         entry("delay 5ms", State::Skipped),
         entry("kill peer 1")},
        3
    );
    EXPECT_EQ(faults, LinkFaults{});
}

TEST(LinkFaults, TheLaterValueWins) {
    const auto faults = link_faults(
        {entry("loss 20%"), entry("delay 5ms"), entry("rate 8Mbit"), entry("loss 1%")}, 2
    );
    EXPECT_EQ(faults.loss, 0.01);
    EXPECT_EQ(faults.delay, 5ms);
    EXPECT_EQ(faults.rate, 1e6);
    EXPECT_FALSE(faults.jitter.has_value());
}

TEST(LinkFaults, ALinkHurtsAllAndAnAdditionThoseThatWereAdded) {
    EXPECT_TRUE(hurt_by(*parse_action("isolate peer 2"), {}).empty());
    EXPECT_EQ(hurt_by(*parse_action("kill peer 2"), {}), std::vector<std::size_t>{2});
    EXPECT_EQ(hurt_by(*parse_action("add 1 by peer 2"), {5}), std::vector<std::size_t>{5});
}

}  // namespace
}  // namespace starling::scenario
