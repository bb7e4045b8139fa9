// Goal: a slow stream is held to a little more than its link takes, and any other is left alone.
// Method: what a kernel would say, on a clock that the test moves.

#include "peer/streams/stream_pace.hpp"

#include <algorithm>
#include <gtest/gtest.h>

namespace starling::peer {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// A stream whose writer passes on what the kernel says whenever this is due.
class Stream {
public:
    explicit Stream(Duration round_trip = milliseconds(1)) { facts_.round_trip = round_trip; }

    /// Sends without a pause for a time, while `rate` bytes per second are acknowledged.
    void send(double rate, Duration time) { pass(time, rate, 1.0); }

    /// Sends only for a share of a time.
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
    // The rate doubles with each round trip, up to what a link of 1 Gbit/s takes.
    for (double rate = 140e3; rate < 110e6; rate *= 2.0) {
        stream.send(rate, milliseconds(100));
        EXPECT_EQ(stream.limit(), 0.0) << rate;
    }
}

TEST(StreamPace, LetsGoWhenTheLinkTakesMore) {
    Stream stream;
    stream.send(1e6, seconds(2));
    ASSERT_GT(stream.limit(), 0.0);
    // Send as fast as the limit allows.
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
    // Nothing is written for a quarter of a minute, so heard() is not called.
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

/// A link with a queue in front of it, and a sender that fills the queue as far as it may, like
/// congestion control that waits for losses.
class Link {
public:
    explicit Link(double rate) : rate_(rate) {}

    /// Lets a time pass. Returns the share of the link that was used.
    double pass(Duration time) {
        double moved = 0.0;
        longest_ = Duration::zero();
        for (const Instant end = now_ + time; now_ < end; now_ += kStep) moved += step();
        return moved / (rate_ * to_seconds(time));
    }

    void become(double rate) { rate_ = rate; }

    /// Others keep this much in the queue, whatever we do.
    void occupy(Duration others) { others_ = others; }

    [[nodiscard]] Duration longest_queue() const { return longest_; }

private:
    static constexpr Duration kStep = milliseconds(1);
    static constexpr double kQueueSeconds = 0.05;

    double step() {
        const double limit = pace_.limit();
        const double wanted = (limit > 0.0 ? limit : 1e9) * to_seconds(kStep);
        queue_ = std::min(queue_ + wanted, kQueueSeconds * rate_);
        const double moved = std::min(queue_, rate_ * to_seconds(kStep));
        queue_ -= moved;
        const Duration waits = from_seconds(queue_ / rate_);
        longest_ = std::max(longest_, waits);
        facts_.acknowledged += static_cast<std::uint64_t>(moved);
        facts_.busy += kStep;
        facts_.round_trip = kRoundTrip;
        facts_.smoothed = kRoundTrip + others_ + waits;
        if (pace_.due(now_)) pace_.heard(now_, facts_);
        return moved;
    }

    static constexpr Duration kRoundTrip = milliseconds(2);

    StreamPace pace_;
    double rate_;
    double queue_ = 0.0;
    Duration others_{};
    Duration longest_{};
    Instant now_ = Instant(seconds(1000));
    TcpFacts facts_;
};

TEST(StreamPace, EmptiesAQueueThatStands) {
    Link link(12.5e6);
    link.pass(seconds(1));
    EXPECT_GT(link.longest_queue(), milliseconds(40));
    link.pass(seconds(5));
    for (int i = 0; i < 10; ++i) {
        EXPECT_GT(link.pass(seconds(10)), 0.97);
        EXPECT_LT(link.longest_queue(), milliseconds(10));
    }
}

TEST(StreamPace, FindsOutThatTheLinkOfAStreamThatFillsItsQueueTakesMore) {
    Link link(2e6);
    link.pass(seconds(10));
    link.become(12.5e6);
    link.pass(seconds(20));
    EXPECT_GT(link.pass(seconds(10)), 0.95);
    EXPECT_LT(link.longest_queue(), milliseconds(10));
}

TEST(StreamPace, DoesNotGiveWayForEverToAQueueOfOthers) {
    Link link(12.5e6);
    link.occupy(milliseconds(30));
    link.pass(seconds(10));
    EXPECT_GT(link.pass(std::chrono::minutes(5)), 0.97);
}

}  // namespace
}  // namespace starling::peer
