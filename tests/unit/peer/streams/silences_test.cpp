// Goal: a silence is remembered for as long as a stream may need to break because of it, and memory is bounded.
// Method: made-up times and peers.

#include "peer/streams/silences.hpp"

#include <gtest/gtest.h>

namespace starling::peer {
namespace {

using namespace std::chrono_literals;

PeerId peer(std::size_t number) {
    PeerId id;
    id.bytes[0] = static_cast<std::uint8_t>(number);
    id.bytes[1] = static_cast<std::uint8_t>(number >> 8U);
    return id;
}

TEST(Silences, ASilenceCountsForAMinute) {
    Silences silences;
    const Instant start{};
    EXPECT_FALSE(silences.lately(start, peer(1)));
    silences.note(start, peer(1));
    EXPECT_TRUE(silences.lately(start + 59s, peer(1)));
    EXPECT_FALSE(silences.lately(start + 60s, peer(1)));
    EXPECT_FALSE(silences.lately(start, peer(2)));
}

TEST(Silences, TheOldestIsForgottenAboveTheLimit) {
    Silences silences;
    const Instant start{};
    for (std::size_t i = 0; i <= Silences::kPeersMax; ++i) silences.note(start + i * 1us, peer(i));
    EXPECT_FALSE(silences.lately(start + 1s, peer(0)));
    EXPECT_TRUE(silences.lately(start + 1s, peer(1)));
    EXPECT_TRUE(silences.lately(start + 1s, peer(Silences::kPeersMax)));
}

}  // namespace
}  // namespace starling::peer
