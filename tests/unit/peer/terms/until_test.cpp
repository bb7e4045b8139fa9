// Goal: each target has one text, and a mistake is answered with what is allowed. Method: every
// kind to text and back; texts that are not targets.

#include "peer/terms/until.hpp"

#include <gtest/gtest.h>

namespace starling::peer {
namespace {

TEST(Until, ParsesEveryKindAndPrintsItBack) {
    for (const char* text :
         {"samples=240000", "steps=100", "epochs=3", "accuracy=0.9", "loss=0.25", "epochs=0.5"}) {
        const auto until = Until::parse(text);
        ASSERT_TRUE(until.has_value()) << text;
        EXPECT_EQ(until->to_string(), text);
    }
    EXPECT_EQ(Until::parse("")->kind, UntilKind::Forever);
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
