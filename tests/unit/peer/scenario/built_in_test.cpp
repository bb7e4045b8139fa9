// Goal: what `--chaos` asks for is the scenario that it says.

#include "peer/scenario/built_in.hpp"

#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "peer/scenario/schedule.hpp"

namespace starling::scenario {
namespace {

std::vector<std::string> steps_of(std::string_view names) {
    const auto scenario = built_in(names, 3);
    std::vector<std::string> words;
    for (const auto& step : *expand(*scenario)) {
        words.push_back(to_string(step.when) + ": " + to_string(step.action));
    }
    return words;
}

TEST(BuiltIn, FaultsComeOnceAllAreBusyAndInTheirOrder) {
    using Words = std::vector<std::string>;
    EXPECT_EQ(steps_of(""), Words{});
    EXPECT_EQ(steps_of("founder-crash"), Words{"all train and step > 199: kill peer 1"});
    EXPECT_EQ(steps_of("late-join"), Words{"all train and step > 199: add 1 by peer 3"});
    const Words both = {"all train and step > 199: kill peer 1", "whole: add 1 by peer 3"};
    EXPECT_EQ(steps_of("founder-crash,late-join"), both);
}

TEST(BuiltIn, WhatIsNotThereOrLeavesNobodyIsRefused) {
    EXPECT_EQ(
        built_in("earthquake", 3).error().message,
        "--chaos: there is no 'earthquake'; use founder-crash, late-join, or both with a comma"
    );
    EXPECT_FALSE(built_in("founder-crash", 1).has_value());
    EXPECT_TRUE(built_in("late-join", 1).has_value());
}

}  // namespace
}  // namespace starling::scenario
