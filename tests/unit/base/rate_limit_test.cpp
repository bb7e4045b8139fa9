// Goal: a bucket lets through what it should and not one more. Method: time that the test makes.

#include "base/rate_limit.hpp"

#include <gtest/gtest.h>

namespace starling {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

int taken(RateLimit& bucket, Instant now, int tries) {
    int count = 0;
    for (int i = 0; i < tries; ++i) count += bucket.take(now) ? 1 : 0;
    return count;
}

TEST(RateLimit, GivesItsBurstAtOnceAndThenItsRate) {
    RateLimit bucket(10.0, 40.0);
    Instant now = Instant{} + seconds(100);
    EXPECT_EQ(taken(bucket, now, 100), 40);
    now += seconds(1);
    EXPECT_EQ(taken(bucket, now, 100), 10);
    now += seconds(1000);
    EXPECT_EQ(taken(bucket, now, 100), 40) << "rest fills it no further";
}

TEST(RateLimit, SaysWhenTheNextOneIsThere) {
    RateLimit bucket(10.0, 1.0);
    Instant now = Instant{} + seconds(100);
    EXPECT_EQ(bucket.next(now), now);
    ASSERT_TRUE(bucket.take(now));
    EXPECT_FALSE(bucket.full(now));
    const Instant next = bucket.next(now);
    EXPECT_GT(next, now + milliseconds(99));
    EXPECT_LT(next, now + milliseconds(105));
    EXPECT_TRUE(bucket.take(next));
}

TEST(RateLimit, WhatIsGivenBackCanBeTakenAgainButNotMore) {
    RateLimit bucket(10.0, 2.0);
    const Instant now = Instant{} + seconds(100);
    bucket.give_back();
    EXPECT_EQ(taken(bucket, now, 9), 2);
    bucket.give_back();
    EXPECT_EQ(taken(bucket, now, 9), 1);
}

TEST(RateLimit, TimeThatRunsBackwardsGivesNothing) {
    RateLimit bucket(10.0, 2.0);
    const Instant now = Instant{} + seconds(100);
    EXPECT_EQ(taken(bucket, now, 9), 2);
    EXPECT_EQ(taken(bucket, now - seconds(50), 9), 0);
    EXPECT_EQ(taken(bucket, now, 9), 0);
}

}  // namespace
}  // namespace starling
