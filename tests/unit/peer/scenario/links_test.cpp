// Goal: what holds at one moment, and nothing else, is what the links suffer from.
// Method: made-up entries in the states that a plan gives them.

#include "peer/scenario/links.hpp"

#include <gtest/gtest.h>
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
