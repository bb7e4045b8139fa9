// Goal: each target has one text, and a mistake is answered with what is allowed. Method: every
// kind to text and back; texts that are not targets.

#include "peer/terms/until.hpp"

#include <gtest/gtest.h>
#include <string>

namespace starling::peer {
namespace {

TEST(Until, ParsesEveryKindAndPrintsItBack) {
    for (const char* text :
         {"samples=240000",
          "steps=100",
          "epochs=3",
          "accuracy=0.9",
          "loss=0.25",
          "epochs=0.5",
          "auc=0.78",
          "ap=0.9",
          "f1=0.5",
          "map50=0.7",
          "map=0.4",
          "bpb=2.25",
          "balanced=0.94",
          "mae=1.5"}) {
        const auto until = Until::parse(text);
        ASSERT_TRUE(until.has_value()) << text;
        EXPECT_EQ(until->to_string(), text);
    }
    EXPECT_EQ(Until::parse("")->kind, UntilKind::Forever);
}

TEST(Until, KnowsWhichQualityItAsksFor) {
    EXPECT_EQ(Until::parse("auc=0.78")->quality(), compute::QualityKind::Auc);
    EXPECT_EQ(Until::parse("mae=2")->quality(), compute::QualityKind::Mae);
    EXPECT_EQ(Until::parse("loss=2")->quality(), compute::QualityKind::Loss);
    for (const char* text : {"", "steps=3", "samples=3", "epochs=3"}) {
        EXPECT_FALSE(Until::parse(text)->quality().has_value()) << text;
    }
    // Each quality can be asked for by its own name, and by no other.
    for (std::uint8_t i = 0; i <= static_cast<std::uint8_t>(compute::kQualityKindLast); ++i) {
        const auto kind = static_cast<compute::QualityKind>(i);
        const auto until = Until::parse(std::string(compute::to_string(kind)) + "=1");
        ASSERT_TRUE(until.has_value()) << compute::to_string(kind);
        EXPECT_EQ(until->quality(), kind);
    }
}

TEST(Until, EpochsOfPrivateSamplesAreStepsOfTheirOwner) {
    const auto epochs = *Until::parse("epochs=3");
    data::Manifest manifest;
    manifest.shards = {{{}, data::Split::Train, 100}, {{}, data::Split::Test, 900}};
    EXPECT_EQ(own_until(epochs, manifest, 8).kind, UntilKind::Epochs);
    manifest.mode = data::DataMode::Private;
    const auto own = own_until(epochs, manifest, 8);
    EXPECT_EQ(own.kind, UntilKind::Steps);
    EXPECT_EQ(own.value, 38);  // 37.5 batches
    EXPECT_EQ(own_until(*Until::parse("auc=0.9"), manifest, 8).kind, UntilKind::Auc);
    EXPECT_EQ(own_until(*Until::parse("samples=9"), manifest, 8).kind, UntilKind::Samples);
    manifest.shards.clear();
    EXPECT_EQ(own_until(epochs, manifest, 8).value, 1);
}

TEST(Until, MistakesSayWhatIsAllowed) {
    for (const char* text :
         {"accuracy",
          "accuracy=",
          "accuracy=2",
          "accuracy=high",
          "accuracy=0.8x",
          "accuracy=0.9&loss=1",
          "luck=7",
          "samples=0",
          "speed=1",
          "steps=-1",
          "steps=nan",
          "auc=1.5",
          "map50=-0.1",
          "bpb=nan",
          "=3"}) {
        const auto until = Until::parse(text);
        ASSERT_TRUE(until.has_error()) << text;
        EXPECT_EQ(until.error().code, FaultCode::Usage);
        EXPECT_NE(until.error().message.find("samples=N"), std::string::npos);
        EXPECT_NE(until.error().message.find("steps=N, epochs=N"), std::string::npos);
    }
}

}  // namespace
}  // namespace starling::peer
