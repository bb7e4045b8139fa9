// Goal: a blocked direction of UDP is reported, and loss and slowness are not taken for one.
// Method: probes by hand.

#include "membership/reach.hpp"

#include <gtest/gtest.h>

#include "tests/unit/membership/support/samples.hpp"

namespace starling::membership {
namespace {

void miss(Reach& reach, int times) {
    for (int i = 0; i < times; ++i) reach.missed(peer(1), static_cast<std::uint64_t>(i));
}

TEST(Reach, TwoMissesAreLoss) {
    Reach reach;
    miss(reach, 2);
    EXPECT_TRUE(reach.directions(peer(1)).out && reach.directions(peer(1)).in);
}

TEST(Reach, SilentMemberIsBlockedInwards) {
    Reach reach;
    reach.heard(peer(1));
    miss(reach, 3);
    EXPECT_TRUE(reach.directions(peer(1)).out);
    EXPECT_FALSE(reach.directions(peer(1)).in);
}

TEST(Reach, MemberThatTalksButNeverAnswersIsBlockedOutwards) {
    Reach reach;
    miss(reach, 2);
    reach.heard(peer(1));
    miss(reach, 1);
    EXPECT_FALSE(reach.directions(peer(1)).out);
    EXPECT_TRUE(reach.directions(peer(1)).in);
}

TEST(Reach, AnAnswerSettlesItEvenALateOne) {
    Reach reach;
    miss(reach, 3);
    reach.answered(peer(1));
    EXPECT_EQ(reach.size(), 0U);
    miss(reach, 3);
    reach.answered_late(peer(1), 0);
    EXPECT_FALSE(reach.directions(peer(1)).in) << "an answer to an older probe";
    reach.answered_late(peer(1), 2);
    EXPECT_TRUE(reach.directions(peer(1)).in);
}

}  // namespace
}  // namespace starling::membership
