// Goal: lanes carry what a main stream does not hold, belong to the peer of that stream, and end with it.
// Method: two Links on loopback.

#include <gtest/gtest.h>

#include "tests/unit/peer/streams/links_fixture.hpp"

namespace starling::peer {
namespace {

/// Begins when `a_` has dialled three lanes to `b_`.
class LanesTest : public LinksTest {
protected:
    static constexpr std::size_t kPayload = 100'000;

    void SetUp() override {
        a_.book[b_.id] = b_.address;
        a_.links->fix_lanes(3);
        offer();
        ASSERT_TRUE(run_until([&] { return !b_.received.empty(); }));
        // The first frame has opened the main stream. More than it holds makes `a_` dial lanes.
        for (std::size_t i = 0; i < kLaneBytes / kPayload + 10; ++i) offer();
        ASSERT_TRUE(run_until([&] {
            return a_.links->lane_count(b_.id, Lanes::Ours) == 3 &&
                   b_.links->lane_count(a_.id, Lanes::Theirs) == 3;
        }));
    }

    void offer() {
        a_.links->send_on_lanes(b_.id, FrameType::Exchange, Bytes(kPayload), Lanes::Ours);
        ++offered_;
    }

    /// Opens a lane to `b_` beside the streams that it has.
    std::unique_ptr<Raw> lane(Introduction introduction) {
        introduction.ours.kind = StreamKind::Lane;
        return std::make_unique<Raw>(loop_, b_.address, std::move(introduction));
    }

    End a_{loop_, 9};
    End b_{loop_, 9};
    std::size_t offered_ = 0;
};

TEST_F(LanesTest, OffersSpreadAndAllArrive) {
    for (int i = 0; i < 100; ++i) offer();
    ASSERT_TRUE(run_until([&] { return b_.received.size() == offered_; }));
    EXPECT_EQ(a_.links->counters().dialled, 4U);
    EXPECT_EQ(b_.links->counters().dialled, 0U);
    for (const auto& frame : b_.received) EXPECT_EQ(frame.payload.size(), kPayload);
}

TEST_F(LanesTest, TheMainStreamTakesWhatItHoldsAndTheLanesTheRest) {
    ASSERT_TRUE(run_until([&] { return b_.received.size() == offered_; }));
    for (int i = 0; i < 80; ++i) offer();
    EXPECT_LT(a_.links->queued_bytes(b_.id), kLaneBytes + 2 * kPayload);
    ASSERT_TRUE(run_until([&] { return b_.received.size() == offered_; }));
}

TEST_F(LanesTest, AnswersUseTheLanesThatTheAskerDialled) {
    for (int i = 0; i < 80; ++i) {
        b_.links->send_on_lanes(a_.id, FrameType::Exchange, Bytes(kPayload), Lanes::Theirs);
    }
    EXPECT_LT(b_.links->queued_bytes(a_.id), kLaneBytes + 2 * kPayload);
    ASSERT_TRUE(run_until([&] { return a_.received.size() == 80; }));
    EXPECT_EQ(b_.links->counters().dialled, 0U);
}

TEST_F(LanesTest, TheyEndWithTheMainStream) {
    b_.links->close_all("leaving");
    ASSERT_TRUE(run_until([&] { return a_.links->connection_count() == 0; }));
    EXPECT_EQ(a_.broken, std::vector<PeerId>{b_.id});
}

TEST_F(LanesTest, MoreThanSevenFromOnePeerAreRefused) {
    std::vector<std::unique_ptr<Raw>> raw;
    for (std::size_t i = 0; i < 12; ++i) raw.push_back(lane(a_.copy(0)));
    ASSERT_TRUE(run_until([&] { return b_.links->counters().refused == 12 - (kLanesMax - 3); }));
    for (auto& one : raw) {
        if (!one->closed) one->connection->close(fail(FaultCode::Closed, "the test is over"));
    }
    ASSERT_TRUE(run_until([&] { return b_.links->connection_count() == 4; }));
    // The lanes that were accepted broke without a goodbye, so they are reported.
    EXPECT_EQ(b_.broken_lanes, std::vector<Lanes>(kLanesMax - 3, Lanes::Theirs));
    EXPECT_TRUE(b_.broken.empty());
}

TEST_F(LanesTest, AStrangersLaneWithoutAMainStreamIsClosed) {
    const auto stranger = lane(new_introduction(9));
    ASSERT_TRUE(run_until([&] { return stranger->closed.has_value(); }));
    ASSERT_TRUE(run_until([&] { return b_.links->connection_count() == 4; }));
    EXPECT_TRUE(b_.broken_lanes.empty());
}

TEST_F(LanesTest, AnythingButAnExchangeClosesALane) {
    const auto fourth = lane(a_.copy(0));
    ASSERT_TRUE(run_until([&] {
        return fourth->greeted && b_.links->lane_count(a_.id, Lanes::Theirs) == 4;
    }));
    fourth->connection->send(FrameType::StateInfoRequest, {});
    ASSERT_TRUE(run_until([&] { return b_.links->connection_count() == 4; }));
    EXPECT_EQ(b_.broken_lanes, std::vector<Lanes>{Lanes::Theirs});
    ASSERT_TRUE(run_until([&] { return b_.received.size() == offered_; }));
}

TEST(LanesFor, FollowTheRoundTripOfAStreamThatIsFull) {
    // The facts of a stream that fills its buffers.
    const auto full = [](Duration round_trip) {
        return lanes_for({round_trip, 2.5 * 1024 * 1024 / to_seconds(round_trip)});
    };
    EXPECT_EQ(full(std::chrono::milliseconds(1)), 0U);
    EXPECT_EQ(full(std::chrono::milliseconds(16)), 0U);
    EXPECT_EQ(full(std::chrono::milliseconds(30)), 1U);
    EXPECT_EQ(full(std::chrono::milliseconds(100)), 5U);
    EXPECT_EQ(full(std::chrono::seconds(10)), kLanesMax);
}

TEST(LanesFor, AreNoneWhereTheLinkAndNotTheStreamIsFull) {
    EXPECT_EQ(lanes_for({}), 0U);
    EXPECT_EQ(lanes_for({std::chrono::milliseconds(100), 12.5e6}), 0U) << "100 Mbit/s";
    EXPECT_EQ(lanes_for({std::chrono::milliseconds(100), 0.0}), 0U) << "a kernel that does not say";
}

}  // namespace
}  // namespace starling::peer
