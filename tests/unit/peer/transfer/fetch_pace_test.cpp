// Goal: while a peer trains on all of its cores, what it fetches costs no more than its share of them;
// nothing else holds it back. Method: a peer that fetches whenever it may, with costs that the test makes up,
// on a clock that the test moves.

#include "peer/transfer/fetch_pace.hpp"

#include <algorithm>
#include <gtest/gtest.h>

namespace starling::peer {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// What fetching has cost in a while.
struct Spent {
    Duration cpu{};
    int pieces = 0;
    Duration longest_pause{};
};

class Paces : public ::testing::Test {
protected:
    /// Asks for pieces for so long. Each takes 4 ms to come, 1 ms of the network thread and 1 ms of the
    /// file thread, which is told up to 200 ms late.
    Spent fetch(FetchPace& pace, Duration time, bool trains) {
        Spent spent;
        const Instant until = now_ + time;
        while (now_ < until) {
            const auto inputs = [&] { return FetchPace::Inputs{network_, files_told_, trains, 0}; };
            pass(milliseconds(4));
            network_ += milliseconds(1);
            files_ += milliseconds(1);
            spent.cpu += milliseconds(2);
            ++spent.pieces;
            // A new piece is asked for at once, unless this one was the last for a while.
            auto wait = pace.update(now_, inputs());
            const Instant paused = now_;
            while (wait && now_ < until) {
                pass(std::max<Duration>(
                    milliseconds(1), std::min<Duration>(*wait - now_, milliseconds(100))
                ));
                wait = pace.update(now_, inputs());
            }
            spent.longest_pause = std::max(spent.longest_pause, now_ - paused);
        }
        return spent;
    }

    void pass(Duration time) {
        now_ += time;
        if (now_ - told_at_ < milliseconds(200)) return;
        told_at_ = now_;
        files_told_ = files_;
    }

    Instant now_{seconds(100)};
    Instant told_at_{seconds(100)};
    Duration network_{};
    Duration files_{};
    Duration files_told_{};
};

double share(const Spent& spent, Duration time) {
    return to_seconds(spent.cpu) / to_seconds(time);
}

TEST_F(Paces, WhoeverTrainsOnAllCoresFetchesWithinItsShare) {
    for (const std::size_t cores : {1U, 2U, 4U}) {
        FetchPace pace(cores, cores);
        const auto spent = fetch(pace, seconds(60), true);
        const double allowed = FetchPace::kShare * static_cast<double>(cores);
        EXPECT_LE(share(spent, seconds(60)), 1.1 * allowed) << cores;
        EXPECT_GE(share(spent, seconds(60)), 0.8 * allowed) << cores;
        EXPECT_LT(spent.longest_pause, seconds(1)) << cores;
    }
}

TEST_F(Paces, WhoeverHasNothingToTrainOnFetchesAsFastAsItCan) {
    FetchPace pace(2, 2);
    EXPECT_EQ(fetch(pace, seconds(4), false).pieces, 1000);
}

TEST_F(Paces, WhatItCostBeforeTheFirstStepIsNotCharged) {
    FetchPace pace(2, 2);
    (void)fetch(pace, seconds(10), false);
    const auto spent = fetch(pace, seconds(10), true);
    EXPECT_GE(share(spent, seconds(10)), 0.8 * 2 * FetchPace::kShare);
}

TEST_F(Paces, WhatCameBeforeTheFirstStepAndIsWrittenAfterItIsNotCharged) {
    FetchPace pace(2, 2);
    const std::uint64_t backlog = std::uint64_t{30} << 20U;
    EXPECT_FALSE(pace.update(now_, {network_, files_, false, backlog}));
    // It takes 20 s to write, as the thread has what steps leave over, and 4 s of processor time.
    for (int i = 0; i < 200; ++i) {
        now_ += milliseconds(100);
        files_ += milliseconds(20);
        const auto until = pace.update(now_, {network_, files_, true, backlog});
        ASSERT_TRUE(until) << "there is no room yet";
        ASSERT_LT(*until, now_ + milliseconds(100)) << i;
    }
    now_ += milliseconds(200);
    files_ += milliseconds(40);
    EXPECT_FALSE(pace.update(now_, {network_, files_, true, 0})) << "told late";
    now_ += seconds(1);
    files_ += milliseconds(200);
    EXPECT_TRUE(pace.update(now_, {network_, files_, true, 0})) << "from now on it counts";
}

TEST_F(Paces, CoresOfTheirOwnNeedNoBrake) {
    FetchPace pace(4, 2);
    EXPECT_EQ(fetch(pace, seconds(4), true).pieces, 1000);
}

TEST_F(Paces, WhatIsNotWrittenYetHoldsFurtherPiecesUp) {
    FetchPace pace(2, 2);
    const auto ask = [&](std::uint64_t unwritten, bool trains) {
        return pace.update(now_, {network_, files_, trains, unwritten});
    };
    EXPECT_FALSE(ask(0, true));
    EXPECT_FALSE(ask(FetchPace::kUnwrittenMax, true));
    const auto until = ask(FetchPace::kUnwrittenMax + 1, true);
    ASSERT_TRUE(until);
    EXPECT_GT(*until, now_);
    EXPECT_LT(*until, now_ + seconds(1)) << "it looks again soon";
    EXPECT_FALSE(ask(FetchPace::kUnwrittenMax + 1, false)) << "nothing to train on";
    FetchPace free(4, 2);
    EXPECT_FALSE(free.update(now_, {network_, files_, true, 0}));
    EXPECT_FALSE(free.update(now_, {network_, files_, true, std::uint64_t{1} << 24U}));
}

TEST_F(Paces, APauseSavesNothingUp) {
    FetchPace pace(1, 1);
    (void)fetch(pace, seconds(1), true);
    pass(seconds(100));
    EXPECT_FALSE(pace.update(now_, {network_, files_told_, true, 0}));
    EXPECT_LT(fetch(pace, seconds(10), true).pieces, 200);
}

}  // namespace
}  // namespace starling::peer
