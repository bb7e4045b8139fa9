// Goal: what is asked of a donor at once follows its rate and round trip, and so does the patience with it.
// Method: requests and answers at instants that the test chooses.

#include "peer/transfer/donor_pace.hpp"

#include <gtest/gtest.h>

namespace starling::peer {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Instant kStart{seconds(100)};
constexpr std::size_t kPiece = 8192;

TEST(DonorPace, KnowsNothingAtFirstAndAsksForLittle) {
    DonorPace pace;
    EXPECT_EQ(pace.rate(), 0.0);
    EXPECT_EQ(pace.piece(), 0U);
    EXPECT_EQ(pace.window(kPiece), 2 * kPiece);
    EXPECT_EQ(pace.patience(), DonorPace::kPatienceFirst);
    (void)pace.asked(kStart, 16 * 1024);
    EXPECT_EQ(pace.patience(), DonorPace::kPatienceFirst + seconds(1)) << "at the slowest rate";
}

TEST(DonorPace, WindowGrowsUntilTheLineIsFullAndNoFurther) {
    // A line of 1 MB/s, 50 ms away: a window of w bytes is answered after 50 ms, or w / 1 MB/s if longer.
    DonorPace pace;
    pace.round_trip(milliseconds(50));
    Instant now = kStart;
    std::size_t window = 0;
    for (int round = 0; round < 8; ++round) {
        window = pace.window(kPiece);
        const auto mark = pace.asked(now, window);
        now += milliseconds(50) + from_seconds(static_cast<double>(window) / 1e6);
        pace.answered(now, mark, window);
    }
    EXPECT_NEAR(static_cast<double>(window), 0.8 * 0.2e6, 0.05e6) << "two round trips and 100 ms";
    EXPECT_LE(pace.rate(), 1e6);
    EXPECT_EQ(pace.round_trip(), milliseconds(50));
}

TEST(DonorPace, CountsWhatCameBetweenARequestAndItsAnswer) {
    DonorPace pace;
    const auto first = pace.asked(kStart, 1000);
    const auto second = pace.asked(kStart, 1000);
    pace.answered(kStart + seconds(1), first, 1000);
    pace.answered(kStart + seconds(2), second, 1000);
    EXPECT_DOUBLE_EQ(pace.rate(), 1000.0);
    // It rests for a minute because nothing is asked of it. That makes it no slower.
    const auto third = pace.asked(kStart + seconds(62), 1000);
    pace.answered(kStart + seconds(63), third, 1000);
    EXPECT_DOUBLE_EQ(pace.rate(), 1000.0);
}

TEST(DonorPace, ForgetsARateThatIsOver) {
    DonorPace pace;
    Instant now = kStart;
    for (const double rate : {1e6, 1e3}) {
        for (int n = 0; n < 10; ++n) {
            const auto mark = pace.asked(now, 1000);
            now += from_seconds(1000.0 / rate);
            pace.answered(now, mark, 1000);
        }
        EXPECT_NEAR(pace.rate(), rate, rate / 100);
    }
}

TEST(DonorPace, PatienceFollowsTheBytesAheadWithinABound) {
    DonorPace pace;
    const auto mark = pace.asked(kStart, 10'000);
    pace.answered(kStart + seconds(1), mark, 10'000);
    EXPECT_EQ(pace.patience(), seconds(4)) << "four round trips of a second";
    (void)pace.asked(kStart + seconds(1), 50'000);
    EXPECT_EQ(pace.patience(), seconds(24)) << "and five seconds of bytes";
    (void)pace.asked(kStart + seconds(1), 500'000);
    EXPECT_EQ(pace.patience(), DonorPace::kPatienceMax);
}

TEST(DonorPace, AFastDonorMayBeSilentForTwoSeconds) {
    DonorPace pace;
    const auto mark = pace.asked(kStart, 10'000);
    pace.answered(kStart + milliseconds(1), mark, 10'000);
    EXPECT_EQ(pace.patience(), DonorPace::kPatienceMin);
}

TEST(DonorPace, LearnsFromAnAnswerThatItHadGivenUp) {
    DonorPace pace;
    const auto mark = pace.asked(kStart, 10'000);
    pace.given_up(10'000);
    pace.answered_late(kStart + seconds(10), mark, 10'000);
    EXPECT_DOUBLE_EQ(pace.rate(), 1000.0);
    EXPECT_EQ(pace.in_flight(), 0U);
    EXPECT_EQ(pace.patience(), seconds(40));
}

}  // namespace
}  // namespace starling::peer
