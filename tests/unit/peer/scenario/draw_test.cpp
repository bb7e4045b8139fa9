// Goal: each drawn scenario can be read and carried out by whom it is for, and a seed always gives the same.
// Method: many seeds.

#include "peer/scenario/draw.hpp"

#include <gtest/gtest.h>
#include <set>
#include <string>

#include "peer/scenario/parse.hpp"
#include "peer/scenario/schedule.hpp"

namespace starling::scenario {
namespace {

TEST(Draw, EachModeGetsWhatItCanDo) {
    for (const auto mode : {Mode::Loopback, Mode::Spaces, Mode::Simulate}) {
        DrawOptions options;
        options.mode = mode;
        std::set<Verb> verbs;
        for (std::uint64_t seed = 0; seed < 300; ++seed) {
            const auto text = draw_scenario(seed, options);
            const auto scenario = parse(text, "drawn", mode);
            ASSERT_TRUE(scenario.has_value()) << scenario.error().message << text;
            EXPECT_EQ(scenario->seed, seed);
            EXPECT_GE(scenario->steps.size(), 2U);
            EXPECT_TRUE(expand(*scenario).has_value()) << text;
            for (const auto& step : scenario->steps) {
                EXPECT_TRUE(can(mode, step.action.verb)) << text;
                verbs.insert(step.action.verb);
            }
        }
        EXPECT_GE(verbs.size(), mode == Mode::Loopback ? 4U : 14U);
    }
}

TEST(Draw, ASeedAlwaysGivesTheSameAndAnotherSomethingElse) {
    EXPECT_EQ(draw_scenario(7, {}), draw_scenario(7, {}));
    EXPECT_NE(draw_scenario(7, {}), draw_scenario(8, {}));
}

TEST(Draw, WhatIsTrainedStandsInTheFile) {
    DrawOptions options;
    options.train = {{"dataset", "idx:a \"b\"\\c", {}}, {"mix-every", "8", {}}};
    const auto scenario = parse(draw_scenario(1, options), "drawn", Mode::Spaces);
    ASSERT_TRUE(scenario.has_value()) << scenario.error().message;
    EXPECT_EQ(scenario->setting("dataset"), "idx:a \"b\"\\c");
    EXPECT_EQ(scenario->setting("mix-every"), "8");
}

}  // namespace
}  // namespace starling::scenario
