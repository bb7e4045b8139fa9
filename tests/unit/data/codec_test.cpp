// Goal: a manifest survives encoding and decoding, and no bytes from others do harm. Method: a
// round trip, every truncation, fields out of range, and 100,000 seeded mutations. If a mutation is
// accepted, the manifest must keep every limit.

#include <algorithm>
#include <limits>

#include "data/manifest.hpp"
#include "tests/unit/data/support/datasets.hpp"

namespace starling::data {
namespace {

Manifest example() {
    return shard_dataset(testing::numbered_dataset(100, 20), 10, testing::test_hash).manifest;
}

bool equal(const Manifest& a, const Manifest& b) {
    const auto same_shard = [](const ShardInfo& x, const ShardInfo& y) {
        return x.id == y.id && x.split == y.split && x.samples == y.samples && x.bytes == y.bytes;
    };
    return a.name == b.name && a.shape == b.shape && a.classes == b.classes && a.mean == b.mean &&
           a.stddev == b.stddev &&
           std::equal(
               a.shards.begin(), a.shards.end(), b.shards.begin(), b.shards.end(), same_shard
           );
}

TEST(ManifestCodec, RoundTripKeepsEverythingAndIsCanonical) {
    const Manifest manifest = example();
    const Bytes bytes = encode_manifest(manifest);
    const auto decoded = decode_manifest(bytes);
    ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
    EXPECT_TRUE(equal(*decoded, manifest));
    EXPECT_EQ(encode_manifest(*decoded), bytes);
}

TEST(ManifestCodec, EveryTruncationIsRefused) {
    const Bytes bytes = encode_manifest(example());
    for (std::size_t length = 0; length < bytes.size(); ++length) {
        EXPECT_FALSE(decode_manifest(ByteView(bytes).first(length)).has_value()) << length;
    }
}

TEST(ManifestCodec, BytesAfterTheEndAreRefused) {
    Bytes bytes = encode_manifest(example());
    bytes.push_back(std::byte{0});
    EXPECT_EQ(decode_manifest(bytes).error().code, FaultCode::BadFormat);
}

TEST(ManifestCodec, AnotherVersionIsRefusedWithASentence) {
    Bytes bytes = encode_manifest(example());
    bytes[5] = std::byte{9};
    const auto decoded = decode_manifest(bytes);
    ASSERT_FALSE(decoded.has_value());
    EXPECT_EQ(decoded.error().code, FaultCode::BadVersion);
    EXPECT_NE(decoded.error().message.find("version 9"), std::string::npos);
}

TEST(ManifestCodec, ACountThatCannotFollowIsRefusedBeforeAllocation) {
    const Manifest manifest = example();
    Bytes bytes = encode_manifest(manifest);
    const std::size_t count_at = bytes.size() - manifest.shards.size() * 41 - 4;
    for (std::size_t i = 0; i < 4; ++i) bytes[count_at + i] = std::byte{0xff};
    EXPECT_EQ(decode_manifest(bytes).error().code, FaultCode::Oversized);
    bytes[count_at + 2] = bytes[count_at + 3] = std::byte{0};
    EXPECT_EQ(decode_manifest(bytes).error().code, FaultCode::Truncated);
}

TEST(ManifestLimits, EachFieldOutOfRangeIsRefused) {
    const auto refused = [](const auto& spoil, FaultCode code = FaultCode::BadValue) {
        Manifest manifest = example();
        spoil(manifest);
        const auto valid = check_manifest(manifest);
        return !valid.has_value() && valid.error().code == code;
    };
    EXPECT_TRUE(check_manifest(example()).has_value());
    EXPECT_TRUE(refused([](Manifest& m) { m.name = "\x1b[2J"; }));
    EXPECT_TRUE(refused([](Manifest& m) { m.name.assign(5000, 'n'); }));
    EXPECT_TRUE(refused([](Manifest& m) { m.shape.clear(); }));
    EXPECT_TRUE(refused([](Manifest& m) { m.shape.assign(9, 1); }));
    EXPECT_TRUE(refused([](Manifest& m) { m.shape[1] = 0; }));
    EXPECT_TRUE(refused([](Manifest& m) { m.shape.assign(4, 1U << 16U); }));
    EXPECT_TRUE(refused([](Manifest& m) { m.classes = 1; }));
    EXPECT_TRUE(refused([](Manifest& m) { m.classes = (1U << 16U) + 1; }));
    EXPECT_TRUE(refused([](Manifest& m) { m.stddev = 0.0F; }));
    EXPECT_TRUE(refused([](Manifest& m) { m.mean = std::numeric_limits<float>::quiet_NaN(); }));
    EXPECT_TRUE(refused([](Manifest& m) { m.shards.clear(); }));
    EXPECT_TRUE(refused([](Manifest& m) { m.shards[0].samples = 0; }));
    EXPECT_TRUE(refused([](Manifest& m) { m.shards[0].bytes += 1; }));
    EXPECT_TRUE(refused([](Manifest& m) { m.shards[0].split = static_cast<Split>(2); }));
    EXPECT_TRUE(refused([](Manifest& m) { m.shards[1].id = m.shards[0].id; }));
    EXPECT_TRUE(refused([](Manifest& m) { m.shards[0].bytes = 1U << 30U; }, FaultCode::Oversized));
    EXPECT_TRUE(refused([](Manifest& m) { m.shards.resize(kShardsMax + 1); }, FaultCode::Oversized)
    );
}

TEST(ManifestCodec, MutatedBytesAreRefusedOrKeepEveryLimit) {
    constexpr std::uint64_t kSeed = 20;
    SCOPED_TRACE("seed " + std::to_string(kSeed));
    Rng rng(kSeed);
    const Bytes bytes = encode_manifest(example());
    std::size_t accepted = 0;
    for (int round = 0; round < 100000; ++round) {
        Bytes mutant = bytes;
        const auto flips = 1 + rng.below(3);
        for (std::uint64_t i = 0; i < flips; ++i) {
            // Half of the mutations change the head, where the counts are.
            const auto range = rng.chance(0.5) ? 64 : mutant.size();
            mutant[rng.below(range)] = static_cast<std::byte>(rng.below(256));
        }
        if (rng.chance(0.1)) mutant.resize(rng.below(mutant.size() + 1));
        const auto decoded = decode_manifest(mutant);
        if (!decoded) {
            ASSERT_EQ(decoded.error().message.find('\n'), std::string::npos);
            continue;
        }
        ++accepted;
        ASSERT_TRUE(check_manifest(*decoded).has_value()) << round;
        ASSERT_EQ(encode_manifest(*decoded), mutant) << round;
    }
    // Some mutations change only an id or the name and are accepted. Without any of these the test
    // would check nothing.
    EXPECT_GT(accepted, 1000U);
}

}  // namespace
}  // namespace starling::data
