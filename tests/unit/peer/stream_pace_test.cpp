#include "peer/stream_pace.hpp"

#include <algorithm>
#include <gtest/gtest.h>

namespace starling::peer {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// A stream whose writer tells the kernel's words whenever they are due.
class Stream {
public:
    explicit Stream(Duration round_trip = milliseconds(1)) { facts_.round_trip = round_trip; }

    /// Sends without a pause for a time; so much is acknowledged per second.
    void send(double rate, Duration time) { pass(time, rate, 1.0); }

    /// Sends for a share of a time only.
    void send_now_and_then(double rate, Duration time, double share) { pass(time, rate, share); }

    [[nodiscard]] double limit() const { return pace.limit(); }

    StreamPace pace;

private:
    void pass(Duration time, double rate, double share) {
        constexpr Duration kStep = milliseconds(10);
        for (const Instant end = now_ + time; now_ < end; now_ += kStep) {
            facts_.acknowledged += static_cast<std::uint64_t>(share * rate * to_seconds(kStep));
            facts_.busy += from_seconds(share * to_seconds(kStep));
            if (pace.due(now_)) pace.heard(now_, facts_);
        }
    }

    Instant now_ = Instant(seconds(1000));
    TcpFacts facts_;
};

TEST(StreamPace, HoldsASlowStreamToALittleMoreThanArrives) {
    Stream stream;
    EXPECT_EQ(stream.limit(), 0.0);
    stream.send(12e6, seconds(2));
    EXPECT_NEAR(stream.limit(), 15e6, 1e5);
}

TEST(StreamPace, LeavesAFastStreamAlone) {
    Stream stream;
    stream.send(1.2 * StreamPace::kFast, seconds(3));
    EXPECT_EQ(stream.limit(), 0.0);
}

TEST(StreamPace, LeavesSlowStartAlone) {
    Stream stream(milliseconds(100));
    // Doubled with each round trip, up to what a link of 1 Gbit/s takes.
    for (double rate = 140e3; rate < 110e6; rate *= 2.0) {
        stream.send(rate, milliseconds(100));
        EXPECT_EQ(stream.limit(), 0.0) << rate;
    }
}

TEST(StreamPace, LetsGoWhenTheLinkTakesMore) {
    Stream stream;
    stream.send(1e6, seconds(2));
    ASSERT_GT(stream.limit(), 0.0);
    // As fast as we let it.
    stream.send(stream.limit(), milliseconds(200));
    EXPECT_EQ(stream.limit(), 0.0);
    stream.send(40e6, seconds(2));
    EXPECT_NEAR(stream.limit(), 50e6, 1e6);
}

TEST(StreamPace, FollowsALinkThatBecomesSlower) {
    Stream stream;
    stream.send(12e6, seconds(2));
    stream.send(3e6, seconds(2));
    EXPECT_NEAR(stream.limit(), 3.75e6, 1e5);
}

TEST(StreamPace, LearnsNothingFromAStreamThatPauses) {
    Stream stream;
    stream.send_now_and_then(12e6, seconds(20), 0.5);
    EXPECT_EQ(stream.limit(), 0.0);
    stream.send(12e6, seconds(2));
    const double limit = stream.limit();
    stream.send_now_and_then(12e6, seconds(8), 0.2);
    EXPECT_EQ(stream.limit(), limit);
}

TEST(StreamPace, ForgetsAfterALongPause) {
    Stream stream;
    stream.send(12e6, seconds(2));
    ASSERT_GT(stream.limit(), 0.0);
    Stream other = stream;
    // Nothing is written, so nothing is heard, for a quarter of a minute.
    const Instant later = Instant(seconds(1000)) + seconds(17);
    other.pace.heard(later, TcpFacts{});
    EXPECT_EQ(other.limit(), 0.0);
}

TEST(StreamPace, AStreamThatStoodStillGetsGoingAgain) {
    Stream stream;
    stream.send(12e6, seconds(2));
    stream.send(0.0, seconds(5));
    ASSERT_GT(stream.limit(), 0.0);
    const double limit = stream.limit();
    stream.send(limit, milliseconds(200));
    EXPECT_EQ(stream.limit(), 0.0);
}

TEST(StreamPace, AKernelThatDoesNotSayLeavesItWithoutALimit) {
    StreamPace pace;
    for (int i = 0; i < 100; ++i) pace.heard(Instant(milliseconds(100 * i)), TcpFacts{});
    EXPECT_EQ(pace.limit(), 0.0);
}

}  // namespace
}  // namespace starling::peer
