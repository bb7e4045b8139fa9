// Goal: a descriptor from strangers is read whole or refused. Method: round trip, every truncation,
// seeded mutations, versions; and the --until grammar by table.

#include "peer/terms/descriptor.hpp"

#include <gtest/gtest.h>

#include "base/rng.hpp"

namespace starling::peer {
namespace {

Descriptor sample() {
    Descriptor d;
    d.nonce.fill(3);
    d.model = "cnn";
    d.optimizer = "sgd?lr=0.05";
    d.until = {UntilKind::Accuracy, 0.9};
    d.manifest.name = "idx:somewhere";
    data::describe_bytes(d.manifest, {1, 2, 2}, 2, {});
    for (std::uint8_t i = 0; i < 3; ++i) {
        data::ShardInfo shard;
        shard.id.bytes.fill(i);
        shard.split = i == 2 ? data::Split::Test : data::Split::Train;
        shard.samples = 10;
        shard.bytes = 20 + 10 * (4 + 2);  // header, then values and label of each sample
        d.manifest.shards.push_back(shard);
    }
    return d;
}

/// A manifest whose sizes come from the data module, so that it decodes.
Descriptor decodable() {
    Descriptor d = sample();
    d.manifest.shards.clear();
    return d;
}

TEST(Descriptor, EqualDescriptorsHaveEqualBytesAndId) {
    const Bytes bytes = encode_descriptor(sample());
    EXPECT_EQ(bytes, encode_descriptor(sample()));
    Descriptor other = sample();
    other.nonce[0] = 4;
    EXPECT_NE(swarm_id_of(bytes), swarm_id_of(encode_descriptor(other)));
}

TEST(Descriptor, ModelFileTravelsAndRaisesTheMinorVersion) {
    Descriptor d = decodable();
    d.model = "onnx:net.onnx";
    const Bytes without = encode_descriptor(d);
    d.model_file = {std::byte{1}, std::byte{2}, std::byte{3}};
    const auto with = decode_descriptor(encode_descriptor(d));
    ASSERT_TRUE(with.has_value()) << with.error().message;
    EXPECT_EQ(with->model_file, d.model_file);
    EXPECT_EQ(with->minor, kDescriptorMinorModelFile);
    const auto plain = decode_descriptor(without);
    ASSERT_TRUE(plain.has_value());
    EXPECT_EQ(plain->minor, kDescriptorMinor);
    EXPECT_TRUE(plain->model_file.empty());
}

TEST(Descriptor, PeersToWaitForTravelAndRaiseTheMinorVersion) {
    Descriptor d = decodable();
    d.wait_for = 5;
    const Bytes bytes = encode_descriptor(d);
    const auto decoded = decode_descriptor(bytes);
    ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
    EXPECT_EQ(decoded->wait_for, 5U);
    EXPECT_EQ(decoded->minor, kDescriptorMinorWait);
    EXPECT_TRUE(decode_descriptor(ByteView(bytes).first(bytes.size() - 1)).has_error());
    d.wait_for = 1;
    EXPECT_EQ(decode_descriptor(encode_descriptor(d))->minor, kDescriptorMinor);
}

TEST(Descriptor, MixingByTimeTravelsAndOlderReleasesReadSteps) {
    Descriptor d = decodable();
    const Bytes steps = encode_descriptor(d);
    for (const auto& every :
         {MixEvery{MixBy::Auto, 8, {}}, MixEvery{MixBy::Time, 5, std::chrono::milliseconds(500)}}) {
        d.mix_every = every;
        const Bytes bytes = encode_descriptor(d);
        const auto decoded = decode_descriptor(bytes);
        ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
        EXPECT_EQ(decoded->mix_every, every);
        EXPECT_EQ(decoded->minor, kDescriptorMinorMixBy);
        EXPECT_TRUE(decode_descriptor(ByteView(bytes).first(bytes.size() - 1)).has_error());
        // All that stands before it is where it was: behind the minor version only what is new follows.
        EXPECT_TRUE(std::equal(steps.begin() + 9, steps.begin() + 60, bytes.begin() + 9));
        // The kind is known, and only a time has one.
        for (const int by : {0, 3, 255}) {
            Bytes wrong = bytes;
            wrong[wrong.size() - 9] = static_cast<std::byte>(by);
            EXPECT_EQ(decode_descriptor(wrong).has_value(), every.by == MixBy::Auto && by == 0);
        }
        Bytes wrong = bytes;
        wrong.back() = std::byte{0xFF};  // negative
        EXPECT_TRUE(decode_descriptor(wrong).has_error());
    }
    d.mix_every = {};
    EXPECT_EQ(encode_descriptor(d), steps);
}

TEST(Descriptor, WeightsOfClassesTravelWhereSamplesAreShared) {
    Descriptor d = sample();
    const Bytes without = encode_descriptor(d);
    d.class_weighting = ClassWeighting::Logits;
    d.class_weights = {0.75F, 1.5F};
    const Bytes bytes = encode_descriptor(d);
    const auto decoded = decode_descriptor(bytes);
    ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
    EXPECT_EQ(decoded->minor, kDescriptorMinorClassWeights);
    EXPECT_EQ(decoded->class_weighting, ClassWeighting::Logits);
    EXPECT_EQ(decoded->class_weights, d.class_weights);
    EXPECT_EQ(bytes.size(), without.size() + 4 + 4 + 9 + 1 + 4 + 8) << "file, wait, mix and these";
    constexpr std::size_t kWeighting = 1 + 4 + 8;
    for (std::size_t length = bytes.size() - kWeighting; length < bytes.size(); ++length) {
        EXPECT_TRUE(decode_descriptor(ByteView(bytes).first(length)).has_error()) << length;
    }
    const auto refused = [&bytes](std::size_t from_end, int byte) {
        Bytes wrong = bytes;
        wrong[wrong.size() - from_end] = static_cast<std::byte>(byte);
        return decode_descriptor(wrong).has_error();
    };
    EXPECT_TRUE(refused(kWeighting, 3)) << "a weighting that nobody knows";
    EXPECT_TRUE(refused(kWeighting, 0)) << "weights that nobody wants";
    EXPECT_TRUE(refused(12, 1)) << "fewer than classes";
    EXPECT_TRUE(refused(9, 0x7F)) << "more than bytes";
    EXPECT_TRUE(refused(1, 0xBF)) << "negative";
    EXPECT_TRUE(refused(1, 0x7F)) << "without a bound";
    d.class_weighting = ClassWeighting::None;
    d.class_weights.clear();
    EXPECT_EQ(encode_descriptor(d), without);
}

TEST(Descriptor, WeightsOfPrivateClassesStayWhereTheyAre) {
    Descriptor d = decodable();
    d.manifest = data::agreed_part(d.manifest);
    d.class_weighting = ClassWeighting::Balanced;
    const Bytes bytes = encode_descriptor(d);
    d.class_weights = {0.75F, 1.5F};
    EXPECT_EQ(encode_descriptor(d), bytes) << "they are this peer's own";
    const auto decoded = decode_descriptor(bytes);
    ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
    EXPECT_EQ(decoded->class_weighting, ClassWeighting::Balanced);
    EXPECT_TRUE(decoded->class_weights.empty());
}

TEST(MixEvery, IsAutoStepsOrATime) {
    EXPECT_EQ(MixEvery::parse("auto")->by, MixBy::Auto);
    EXPECT_EQ(*MixEvery::parse("8"), (MixEvery{MixBy::Steps, 8, {}}));
    EXPECT_EQ(
        *MixEvery::parse("1.5s"), (MixEvery{MixBy::Time, 8, std::chrono::milliseconds(1500)})
    );
    for (const char* text :
         {"", "0", "-8", "8 ", "8.5", "auto ", "4294967296", "ms", "0s", "1e99s"}) {
        EXPECT_TRUE(MixEvery::parse(text).has_error()) << text;
    }
    EXPECT_EQ(MixEvery::parse("1")->to_string(), "1 step");
    EXPECT_EQ(MixEvery::parse("500ms")->to_string(), "0.5 s");
}

TEST(Descriptor, ModelFileLongerThanTheBlobIsRefused) {
    Descriptor d = decodable();
    d.model_file = {std::byte{1}, std::byte{2}, std::byte{3}};
    Bytes bytes = encode_descriptor(d);
    bytes[bytes.size() - 4] = std::byte{0x7F};  // the highest byte of its length
    EXPECT_TRUE(decode_descriptor(bytes).has_error());
}

TEST(Descriptor, AnotherMajorVersionIsRefusedWithASentence) {
    Descriptor d = decodable();
    d.major = 2;
    const auto decoded = decode_descriptor(encode_descriptor(d));
    ASSERT_TRUE(decoded.has_error());
    EXPECT_EQ(decoded.error().code, FaultCode::BadVersion);
    EXPECT_NE(decoded.error().message.find("run the same release"), std::string::npos);
}

TEST(Descriptor, EveryTruncationIsAnError) {
    const Bytes bytes = encode_descriptor(sample());
    for (std::size_t length = 0; length < bytes.size(); ++length) {
        EXPECT_TRUE(decode_descriptor(ByteView(bytes).first(length)).has_error()) << length;
    }
}

TEST(Descriptor, MutationsNeverDoMoreThanFail) {
    Descriptor timed = sample();
    timed.mix_every = {MixBy::Time, 8, std::chrono::seconds(1)};
    Descriptor weighted = sample();
    weighted.class_weighting = ClassWeighting::Balanced;
    weighted.class_weights = {0.75F, 1.5F};
    const Bytes goods[] = {
        encode_descriptor(sample()), encode_descriptor(timed), encode_descriptor(weighted)};
    for (std::uint64_t seed = 0; seed < 20000; ++seed) {
        SCOPED_TRACE(seed);
        Rng rng(seed);
        Bytes bad = goods[seed % 3];
        const auto changes = 1 + rng.below(4);
        for (std::uint64_t i = 0; i < changes; ++i) {
            bad[static_cast<std::size_t>(rng.below(bad.size()))] =
                static_cast<std::byte>(rng.next());
        }
        const auto decoded = decode_descriptor(bad);
        if (decoded.has_error()) {
            EXPECT_FALSE(decoded.error().message.empty());
        } else {
            EXPECT_GE(decoded->batch, 1U);
            EXPECT_GE(decoded->mix_every.steps, 1U);
            EXPECT_EQ(
                decoded->mix_every.time > Duration::zero(), decoded->mix_every.by == MixBy::Time
            );
            EXPECT_LE(decoded->manifest.shards.size(), data::kShardsMax);
        }
    }
}

}  // namespace
}  // namespace starling::peer
