// Goal: a user's flags about averaging arrive in the descriptor and in the machine's settings,
// wrong values are refused with a sentence, and the upload limit holds in the mean. Method: values
// in, values out.

#include <gtest/gtest.h>
#include <set>

#include "peer/averaging/averaging_options.hpp"
#include "peer/averaging/gossip_driver.hpp"
#include "peer/terms/config.hpp"

namespace starling::peer {
namespace {

using namespace std::chrono_literals;

PeerConfig training() {
    PeerConfig config;
    config.dataset = "idx:somewhere";
    return config;
}

TEST(AveragingRng, NoLifeOfAPeerDrawsWhatAnotherDrew) {
    PeerId self;
    self.bytes[3] = 77;
    std::set<std::uint64_t> drawn;
    constexpr std::size_t kDraws = 200;
    constexpr std::uint64_t kLives = 20;
    for (std::uint64_t epoch = 1; epoch <= kLives; ++epoch) {
        Rng rng = averaging_rng(training().seed, self, epoch);
        for (std::size_t i = 0; i < kDraws; ++i) drawn.insert(rng.next());
    }
    EXPECT_EQ(drawn.size(), kDraws * kLives);
    Rng again = averaging_rng(training().seed, self, 1);
    EXPECT_TRUE(drawn.contains(again.next()));
}

TEST(AveragingFlags, EachWrongValueIsNamed) {
    struct Wrong {
        const char* flag;
        void (*set)(PeerConfig&);
    };

    const Wrong wrongs[] = {
        {"--mix", [](PeerConfig& c) { c.mix = "average"; }},
        {"--mix", [](PeerConfig& c) { c.mix = "noloco?gamma=1.9"; }},
        {"--encoding", [](PeerConfig& c) { c.encoding = "f16"; }},
        {"--share", [](PeerConfig& c) { c.share = "7"; }},
        {"--upload-limit", [](PeerConfig& c) { c.upload_limit = "fast"; }},
    };
    EXPECT_TRUE(validate(training()).has_value());
    for (const auto& wrong : wrongs) {
        auto config = training();
        wrong.set(config);
        const auto checked = validate(config);
        ASSERT_TRUE(checked.has_error()) << wrong.flag;
        EXPECT_EQ(checked.error().code, FaultCode::Usage);
        EXPECT_EQ(checked.error().message.rfind(wrong.flag, 0), 0U) << checked.error().message;
    }
}

TEST(AveragingFlags, PushSumNeedsAnEncodingWithoutAPartner) {
    auto config = training();
    config.mix = "push-sum";
    EXPECT_TRUE(validate(config).has_value());
    config.encoding = "lattice8";
    EXPECT_TRUE(validate(config).has_error());
}

TEST(AveragingFlags, DescriptorCarriesThem) {
    Descriptor descriptor;
    descriptor.model = "mlp";
    descriptor.mix = "noloco?alpha=0.25&beta=0.7&gamma=0.7&h=50";
    descriptor.parts = 20;
    descriptor.sync = true;
    const auto back = decode_descriptor(encode_descriptor(descriptor));
    ASSERT_TRUE(back.has_value()) << back.error().message;
    EXPECT_EQ(back->mix, descriptor.mix);
    EXPECT_TRUE(back->sync);
    const auto averaging = averager_config(*back);
    ASSERT_TRUE(averaging.has_value());
    EXPECT_EQ(averaging->parts, 20U);
    EXPECT_EQ(averaging->mix.rule, gossip::Rule::Noloco);
    EXPECT_EQ(averaging->mix.steps, 50U);
}

TEST(AveragingFlags, EachPeerBoundsWeightsForItself) {
    auto config = training();
    EXPECT_EQ(own_averager_config({}, config).weight_max, 7);
    config.weight_max = 1;
    EXPECT_EQ(own_averager_config({}, config).weight_max, 0) << "all pairs are even";
    config.weight_max = 65536;
    EXPECT_TRUE(own_averager_config({}, config).validate().has_value());
}

TEST(AveragingFlags, DescriptorsThatNoReleaseWritesAreRefused) {
    Descriptor descriptor;
    descriptor.parts = 0;
    EXPECT_TRUE(averager_config(descriptor).has_error());
    descriptor.parts = 1;
    descriptor.mix = "median";
    EXPECT_TRUE(averager_config(descriptor).has_error());
}

TEST(AveragingFlags, RatesAreReadInBitsAndBytes) {
    EXPECT_EQ(*parse_rate("100Mbit"), 12.5e6);
    EXPECT_EQ(*parse_rate("1.5MB"), 1.5e6);
    EXPECT_EQ(*parse_rate("500kbit"), 62.5e3);
    for (const char* text : {"", "10", "Mbit", "-1MB", "1mbit", "1B", "1e30GB"}) {
        EXPECT_TRUE(parse_rate(text).has_error()) << text;
    }
}

TEST(TokenBucket, LetsThroughItsRateInTheMeanAndNeverCutsAFrame) {
    TokenBucket bucket(1e6);
    Instant now{1s};
    std::uint64_t sent = 0;
    while (now < Instant{11s}) {
        const auto wait = bucket.wait(now);
        now += wait;
        if (wait > Duration::zero()) continue;
        bucket.take(262'000);
        sent += 262'000;
    }
    // The bytes of ten seconds, the first burst, and the frame that the last token let through.
    EXPECT_GE(sent, 10'000'000U);
    EXPECT_LE(sent, 10'400'000U);
}

TEST(TokenBucket, WithoutARateThereIsNoLimit) {
    TokenBucket bucket(0.0);
    bucket.take(std::size_t{1} << 40U);
    EXPECT_EQ(bucket.wait(Instant{1s}), Duration::zero());
}

}  // namespace
}  // namespace starling::peer
