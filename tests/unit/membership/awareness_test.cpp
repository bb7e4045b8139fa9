// Goal: local health stays in its range and says what the paper's table says. Method: every branch
// with hand-made numbers.

#include "membership/awareness.hpp"

#include <gtest/gtest.h>

namespace starling::membership {
namespace {

using std::chrono::seconds;

TEST(Awareness, ScoreStaysBetweenHealthyAndItsWorst) {
    Awareness awareness(8);
    EXPECT_EQ(awareness.scale(seconds(1)), seconds(1));
    awareness.add(-1);
    EXPECT_EQ(awareness.score(), 0);
    awareness.add(3);
    EXPECT_EQ(awareness.scale(seconds(1)), seconds(4));
    awareness.add(100);
    EXPECT_EQ(awareness.score(), 7);
    awareness.add(-2);
    EXPECT_EQ(awareness.score(), 5);
}

TEST(Awareness, OneLevelSwitchesItOff) {
    Awareness awareness(1);
    awareness.add(5);
    EXPECT_EQ(awareness.scale(seconds(1)), seconds(1));
}

TEST(Blame, IsOursAsFarAsHelpersAreSilent) {
    EXPECT_EQ(blame_for_missed_probe(3, 3), 0) << "all helpers live: the target is the problem";
    EXPECT_EQ(blame_for_missed_probe(3, 1), 2);
    EXPECT_EQ(blame_for_missed_probe(3, 0), 3);
    EXPECT_EQ(blame_for_missed_probe(3, 9), 0) << "repeated nacks must not pay out";
    EXPECT_EQ(blame_for_missed_probe(0, 0), 1);
}

}  // namespace
}  // namespace starling::membership
