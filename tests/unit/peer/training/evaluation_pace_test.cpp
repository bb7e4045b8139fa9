// Goal: evaluations take at most their share of the time and come right after exchanges where there
// are any. Method: times by hand, and a long run in which each evaluation takes as long as it likes.

#include "peer/training/evaluation_pace.hpp"

#include <gtest/gtest.h>

#include "base/rng.hpp"

namespace starling::peer {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Instant kStart{seconds(100)};
constexpr Instant kNever{};

TEST(EvaluationPace, TheFirstIsDueTwoSecondsAfterTheFirstStart) {
    EvaluationPace pace(0.05);
    pace.start(kStart);
    pace.start(kStart + seconds(1));
    EXPECT_FALSE(pace.due(kStart + milliseconds(1999), kNever));
    EXPECT_TRUE(pace.due(kStart + seconds(2), kNever));
}

TEST(EvaluationPace, WithExchangesItWaitsForTheNextOneForAtMostFiveSeconds) {
    EvaluationPace pace(0.05);
    pace.start(kStart);
    const Instant due = kStart + seconds(2);
    const Instant recent = due - milliseconds(4999);
    EXPECT_FALSE(pace.due(due, recent));
    EXPECT_FALSE(pace.due(due + seconds(5), recent));
    EXPECT_TRUE(pace.due(due + milliseconds(5001), recent));
    EXPECT_TRUE(pace.due(due + seconds(1), due));
    EXPECT_FALSE(pace.due(due - milliseconds(1), due - milliseconds(1))) << "not due at all yet";
}

TEST(EvaluationPace, ExchangesThatHaveCeasedAreNotWaitedFor) {
    EvaluationPace pace(0.05);
    pace.start(kStart);
    const Instant due = kStart + seconds(2);
    EXPECT_TRUE(pace.due(due, due - seconds(5)));
}

TEST(EvaluationPace, ThePauseFollowsFromTheShareAndIsHalfASecondAtLeast) {
    EvaluationPace pace(0.05);
    pace.start(kStart);
    const Instant begin = kStart + seconds(2);
    pace.evaluated(begin, begin + milliseconds(100));
    // 100 ms are 5 % of 2 s, so 1.9 s are left for training.
    EXPECT_FALSE(pace.due(begin + milliseconds(1999), kNever));
    EXPECT_TRUE(pace.due(begin + milliseconds(2000), kNever));
    pace.evaluated(begin + seconds(2), begin + seconds(2));
    EXPECT_FALSE(pace.due(begin + milliseconds(2499), kNever));
    EXPECT_TRUE(pace.due(begin + milliseconds(2500), kNever));
}

TEST(EvaluationPace, TheTimeSpentWaitingForAnExchangeShortensThePauseByHalfAtMost) {
    const Instant due = kStart + seconds(2);
    const auto pause_after = [&](Duration waited) {
        EvaluationPace pace(0.05);
        pace.start(kStart);
        const Instant end = due + waited + milliseconds(100);
        pace.evaluated(due + waited, end);
        Duration pause{};
        while (!pace.due(end + pause, kNever)) pause += milliseconds(1);
        return pause;
    };
    EXPECT_EQ(pause_after(milliseconds(0)), milliseconds(1900));
    EXPECT_EQ(pause_after(milliseconds(400)), milliseconds(1500));
    EXPECT_EQ(pause_after(milliseconds(950)), milliseconds(950));
    EXPECT_EQ(pause_after(milliseconds(4000)), milliseconds(950));
}

TEST(EvaluationPace, WithoutExchangesALongRunKeepsToTheShare) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        Rng rng(seed);
        EvaluationPace pace(0.05);
        pace.start(kStart);
        Duration spent{};
        Instant now = kStart;
        while (now < kStart + seconds(1000)) {
            now += milliseconds(1 + rng.below(20));  // a step
            if (!pace.due(now, kNever)) continue;
            const Duration cost = milliseconds(20 + rng.below(300));
            pace.evaluated(now, now + cost);
            spent += cost;
            now += cost;
        }
        const double share = to_seconds(spent) / to_seconds(now - kStart);
        EXPECT_LT(share, 0.051) << seed;
        EXPECT_GT(share, 0.045) << seed;
    }
}

}  // namespace
}  // namespace starling::peer
