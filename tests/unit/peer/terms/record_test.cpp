// Goal: progress records fit their 512 bytes, and bytes from strangers never break the decoder.
// Method: round trip, truncation, mutations.

#include "peer/terms/record.hpp"

#include <cmath>
#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "membership/config.hpp"

namespace starling::peer {
namespace {

Record sample() {
    Record r;
    r.state = PeerState::Settling;
    r.reached = true;
    r.ending = true;
    r.round = 3;
    r.steps = 1000;
    r.samples = 64000;
    r.accuracy = 0.875F;
    r.held = 70;
    return r;
}

TEST(Record, SurvivesARoundTripWithinItsLimit) {
    const Bytes bytes = encode_record(sample());
    EXPECT_LE(bytes.size(), membership::kRecordMax);
    const auto decoded = decode_record(bytes);
    ASSERT_TRUE(decoded.has_value());
    EXPECT_EQ(decoded->state, PeerState::Settling);
    EXPECT_TRUE(decoded->reached);
    EXPECT_TRUE(decoded->ending);
    EXPECT_EQ(decoded->round, 3U);
    EXPECT_EQ(decoded->samples, 64000U);
    EXPECT_EQ(decoded->accuracy, 0.875F);
    EXPECT_EQ(decoded->held, 70U);
}

TEST(Record, TruncationsAndNonsenseAreRefused) {
    const Bytes good = encode_record(sample());
    for (std::size_t length = 0; length < good.size(); ++length) {
        EXPECT_TRUE(decode_record(ByteView(good).first(length)).has_error()) << length;
    }
    for (std::uint64_t seed = 0; seed < 5000; ++seed) {
        SCOPED_TRACE(seed);
        Rng rng(seed);
        Bytes bad = good;
        bad[static_cast<std::size_t>(rng.below(bad.size()))] = static_cast<std::byte>(rng.next());
        const auto decoded = decode_record(bad);
        if (decoded.has_error()) continue;
        EXPECT_LE(decoded->weight_log2, 16);
        EXPECT_TRUE(std::isfinite(decoded->accuracy));
    }
}

}  // namespace
}  // namespace starling::peer
