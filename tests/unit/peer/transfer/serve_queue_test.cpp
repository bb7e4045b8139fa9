// Goal: requests are answered in order, peers in turn, and nobody makes us keep many. Method: calls by hand.

#include "peer/transfer/serve_queue.hpp"

#include <gtest/gtest.h>

#include "tests/unit/peer/transfer/support/wire.hpp"

namespace starling::peer {
namespace {

Bytes request(std::uint8_t number) {
    return Bytes(4, std::byte{number});
}

const auto kRoom = [](const PeerId&) { return true; };

TEST(ServeQueue, PeersTakeTurnsAndEachKeepsItsOrder) {
    ServeQueue queue;
    for (std::uint8_t n = 0; n < 3; ++n) {
        ASSERT_TRUE(queue.put(peer_id(1), FrameType::StateRequest, request(n)));
    }
    ASSERT_TRUE(queue.put(peer_id(2), FrameType::ShardRequest, request(9)));
    std::vector<std::pair<PeerId, Bytes>> served;
    while (const auto next = queue.take(kRoom)) served.emplace_back(next->from, next->payload);
    const std::vector<std::pair<PeerId, Bytes>> expected{
        {peer_id(1), request(0)},
        {peer_id(2), request(9)},
        {peer_id(1), request(1)},
        {peer_id(1), request(2)}};
    EXPECT_EQ(served, expected);
    EXPECT_TRUE(queue.empty());
}

TEST(ServeQueue, APeerWhoseStreamIsFullHoldsNobodyUp) {
    ServeQueue queue;
    ASSERT_TRUE(queue.put(peer_id(1), FrameType::StateRequest, request(1)));
    ASSERT_TRUE(queue.put(peer_id(2), FrameType::StateRequest, request(2)));
    const auto not_one = [](const PeerId& peer) { return peer != peer_id(1); };
    EXPECT_EQ(queue.take(not_one)->from, peer_id(2));
    EXPECT_FALSE(queue.take(not_one));
    EXPECT_FALSE(queue.empty());
    EXPECT_EQ(queue.take(kRoom)->from, peer_id(1));
}

TEST(ServeQueue, IsBoundedForOneAndInAllAndForgetsWhoIsGone) {
    ServeQueue queue;
    std::size_t taken = 0;
    for (std::size_t n = 0; n < 2 * ServeQueue::kOfOne; ++n) {
        taken += queue.put(peer_id(1), FrameType::StateRequest, request(1)) ? 1U : 0U;
    }
    EXPECT_EQ(taken, ServeQueue::kOfOne);
    for (std::uint8_t peer = 2; peer < 60; ++peer) {
        for (std::size_t n = 0; n < 100; ++n) {
            taken += queue.put(peer_id(peer), FrameType::StateRequest, request(1)) ? 1U : 0U;
        }
    }
    EXPECT_EQ(taken, ServeQueue::kInAll);
    queue.forget(peer_id(1));
    EXPECT_TRUE(queue.put(peer_id(99), FrameType::StateRequest, request(1)));
    EXPECT_FALSE(queue.put(peer_id(98), FrameType::StateRequest, Bytes(65)));
}

}  // namespace
}  // namespace starling::peer
