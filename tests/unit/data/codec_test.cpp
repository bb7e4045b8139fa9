// Goal: a manifest survives encoding and decoding, and no bytes from others do harm. Method: a
// round trip, every truncation, fields out of range, and 100,000 seeded mutations. If a mutation is
// accepted, the manifest must keep every limit.

#include <algorithm>
#include <limits>

#include "data/manifest.hpp"
#include "tests/unit/data/support/datasets.hpp"
#include "tests/unit/data/support/few_tokens.hpp"

namespace starling::data {
namespace {

Manifest example() {
    return shard_dataset(testing::numbered_dataset(100, 20), 10, testing::test_hash).manifest;
}

std::vector<Axis>& shape_of(Manifest& manifest) {
    return manifest.schema.inputs[0].shape;
}

Scale& scale_of(Manifest& manifest) {
    return std::get<ImageRecipe>(manifest.recipe).scales[0];
}

bool equal(const Manifest& a, const Manifest& b) {
    const auto same_shard = [](const ShardInfo& x, const ShardInfo& y) {
        return x.id == y.id && x.split == y.split && x.samples == y.samples && x.bytes == y.bytes;
    };
    return a.name == b.name && a.schema == b.schema && a.recipe == b.recipe && a.mode == b.mode &&
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

/// Photos in files of their own, with names of classes, a validation part and augmentation: nothing
/// of it can be said by the first two versions.
Manifest photos() {
    Manifest manifest;
    manifest.name = "images:pets";
    Input input;
    input.name = "image";
    input.storage = Storage::Encoded;
    input.shape = {{3, false}, {480, true}, {640, true}};
    manifest.schema.inputs = {input};
    manifest.schema.label = {LabelKind::Class, 2, {"cat", "dog"}, {1.0F, 2.5F}};
    ImageRecipe recipe;
    recipe.channels = 3;
    recipe.height = recipe.width = 224;
    recipe.fit = Fit::Crop;
    recipe.scales = {{0.485F, 0.229F}, {0.456F, 0.224F}, {0.406F, 0.225F}};
    recipe.flip = recipe.zoom = true;
    manifest.recipe = recipe;
    for (std::uint8_t i = 0; i < 3; ++i) {
        ShardInfo shard;
        shard.id.bytes.fill(i);
        shard.split = static_cast<Split>(i);
        shard.samples = 10;
        shard.bytes = 20 + 11 * 4 + 10 * 2 + 70000;  // header, ends, labels, records
        manifest.shards.push_back(shard);
    }
    return manifest;
}

TEST(ManifestCodec, WhatVersions1And2CanSayIsWrittenAsTheyWroteIt) {
    // Sizes and hashes of what the releases before version 3 wrote: a swarm's id depends on them.
    struct Known {
        Manifest manifest;
        std::size_t bytes;
        std::array<std::uint8_t, 4> hash;
    };

    const auto numbered = testing::numbered_dataset(100, 20);
    std::vector<std::uint16_t> train;
    std::vector<std::uint16_t> test;
    for (std::uint64_t i = 0; i < 5000; ++i) {
        train.push_back(static_cast<std::uint16_t>(mix64(i) % 3));
    }
    for (std::uint16_t i = 0; i < 500; ++i) test.push_back(i % 3);
    const testing::FewTokens text("text", "abc", 8, train, test);
    const auto parts = *Partition::parse("iid?owners=3");
    const Known known[] = {
        {example(), 543, {0x8d, 0xb4, 0xdf, 0x0d}},
        {shard_dataset(numbered, 10, parts, testing::test_hash)->manifest,
         712,
         {0x05, 0xdf, 0xcf, 0xfe}},
        {testing::cut_text(text, 1000, testing::test_hash).manifest, 324, {0xcb, 0x42, 0xb4, 0x0d}},
    };
    for (const auto& each : known) {
        const auto bytes = encode_manifest(each.manifest);
        EXPECT_EQ(bytes.size(), each.bytes);
        const auto hash = testing::test_hash(bytes);
        EXPECT_TRUE(std::equal(each.hash.begin(), each.hash.end(), hash.begin()));
    }
}

TEST(ManifestCodec, AVersionTwoWithoutAnythingNewIsRefused) {
    auto bytes = encode_manifest(
        shard_dataset(testing::numbered_dataset(100, 20), 10, testing::test_hash).manifest
    );
    EXPECT_EQ(bytes[5], std::byte{1})
        << "samples without partitions make the bytes they always made";
    // The extension follows name, shape, classes, mean and deviation.
    const std::size_t at = 1 + 4 + 2 + (4 + 8) + (4 + 12) + 4 + 8;
    bytes[5] = std::byte{2};
    bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at), 12, std::byte{0});
    EXPECT_FALSE(decode_manifest(bytes).has_value());
}

TEST(ManifestCodec, Version3SaysWhatTheOthersCannot) {
    const auto manifest = photos();
    ASSERT_TRUE(check_manifest(manifest).has_value()) << check_manifest(manifest).error().message;
    const auto bytes = encode_manifest(manifest);
    EXPECT_EQ(bytes[5], std::byte{3}) << "the version";
    const auto decoded = decode_manifest(bytes);
    ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
    EXPECT_TRUE(equal(*decoded, manifest));
    EXPECT_EQ(encode_manifest(*decoded), bytes);
    EXPECT_EQ(decoded->target_split(), Split::Valid);
    EXPECT_EQ(decoded->shape(), (std::vector<std::uint32_t>{3, 224, 224}));
    for (std::size_t length = 0; length < bytes.size(); ++length) {
        EXPECT_FALSE(decode_manifest(ByteView(bytes).first(length)).has_value()) << length;
    }
}

TEST(ManifestCodec, Version3IsRefusedForWhatAnOlderOneCanSay) {
    // A data set must not have two ids. The version stands behind the archive's mark and the magic.
    auto bytes = encode_manifest(photos());
    bytes[5] = std::byte{2};
    EXPECT_FALSE(decode_manifest(bytes).has_value());
    auto manifest = photos();
    manifest.mode = static_cast<DataMode>(2);
    EXPECT_FALSE(check_manifest(manifest).has_value());
    manifest = photos();
    manifest.shards[0].bytes = 20 + 11 * 4 + 10 * 2 + 9;  // fewer than a byte for each sample
    EXPECT_FALSE(check_manifest(manifest).has_value());
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
    EXPECT_TRUE(refused([](Manifest& m) { shape_of(m).clear(); }));
    EXPECT_TRUE(refused([](Manifest& m) { shape_of(m).assign(9, {1, false}); }));
    EXPECT_TRUE(refused([](Manifest& m) { shape_of(m)[1].size = 0; }));
    EXPECT_TRUE(refused([](Manifest& m) { shape_of(m).assign(4, {1U << 16U, false}); }));
    EXPECT_TRUE(refused([](Manifest& m) { m.schema.label.count = 1; }));
    EXPECT_TRUE(refused([](Manifest& m) { m.schema.label.count = (1U << 16U) + 1; }));
    EXPECT_TRUE(refused([](Manifest& m) { scale_of(m).stddev = 0.0F; }));
    EXPECT_TRUE(refused([](Manifest& m) {
        scale_of(m).mean = std::numeric_limits<float>::quiet_NaN();
    }));
    EXPECT_TRUE(refused([](Manifest& m) { m.shards.clear(); }));
    EXPECT_TRUE(refused([](Manifest& m) { m.shards[0].samples = 0; }));
    EXPECT_TRUE(refused([](Manifest& m) { m.shards[0].bytes += 1; }));
    EXPECT_TRUE(refused([](Manifest& m) { m.shards[0].split = static_cast<Split>(3); }));
    EXPECT_TRUE(refused([](Manifest& m) { m.shards[1].id = m.shards[0].id; }));
    EXPECT_TRUE(refused([](Manifest& m) { m.shards[0].bytes = 1U << 30U; }, FaultCode::Oversized));
    EXPECT_TRUE(refused([](Manifest& m) { m.shards.resize(kShardsMax + 1); }, FaultCode::Oversized)
    );
}

TEST(ManifestCodec, MutatedBytesAreRefusedOrKeepEveryLimit) {
    constexpr std::uint64_t kSeed = 20;
    SCOPED_TRACE("seed " + std::to_string(kSeed));
    Rng rng(kSeed);
    const Bytes sources[] = {encode_manifest(example()), encode_manifest(photos())};
    std::size_t accepted = 0;
    for (int round = 0; round < 100000; ++round) {
        Bytes mutant = sources[round % 2];
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

TEST(PublicName, IsTheKindAndTheLastPartOfThePath) {
    struct Row {
        const char* name;
        const char* shown;
    };

    for (const auto& row : {
             Row{"idx:/usr/share/datasets/fashion-mnist", "idx:fashion-mnist"},
             Row{"images:/home/ann/pets/?size=32", "images:pets"},
             Row{"text:letters.txt", "text:letters.txt"},
             Row{"csv:/home/ann/%3F.csv?label=/home/ann/x", "csv:%3F.csv"},
             Row{"sqlite:/var/a.db?query=SELECT name FROM patients", "sqlite:a.db"},
             Row{"idx:/a:b/c:d", "idx:c:d"},
             Row{"idx:.", "idx"},
             Row{"idx:../..", "idx"},
             Row{"idx:/", "idx"},
             Row{"/home/ann", "ann"},
             Row{"private", "private"},
             Row{"", ""},
         }) {
        EXPECT_EQ(public_name(row.name), row.shown);
    }
}

}  // namespace
}  // namespace starling::data
