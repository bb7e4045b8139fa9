// Goal: qualities are read as they are written, and nothing else is.
// Method: a table of texts.

#include "compute/metrics/quality.hpp"

#include <gtest/gtest.h>

namespace starling::compute {
namespace {

TEST(Quality, EachKindIsReadAsItIsWritten) {
    for (const std::string text :
         {"accuracy=0.975",
          "auc=0.78",
          "ap=1",
          "f1=0",
          "map50=0.5",
          "map=0.25",
          "bpb=1.07",
          "loss=2.5e-07",
          "balanced=0.1",
          "mae=12345.678"}) {
        const auto quality = parse_quality(text);
        ASSERT_TRUE(quality.has_value()) << quality.error().message;
        EXPECT_EQ(to_string(*quality), text);
    }
    const Quality third{QualityKind::Auc, 1.0 / 3.0};
    EXPECT_EQ(*parse_quality(to_string(third)), third);
}

TEST(Quality, OthersAreRefusedInOneLine) {
    for (const std::string text :
         {"",
          "auc",
          "auc=",
          "=0.5",
          "AUC=0.5",
          "auc=0.5 ",
          "auc= 0.5",
          "auc=1.01",
          "auc=-0.1",
          "auc=nan",
          "loss=inf",
          "loss=-1",
          "auc=0.5x",
          "auc=0,5",
          "precision=0.5",
          "mae=1e999"}) {
        const auto quality = parse_quality(text);
        ASSERT_TRUE(quality.has_error()) << text;
        EXPECT_EQ(quality.error().code, FaultCode::Usage);
        EXPECT_EQ(quality.error().message.find('\n'), std::string::npos);
    }
    EXPECT_NE(parse_quality("x=1").error().message.find("balanced"), std::string::npos);
}

TEST(Quality, GoalsAreReachedFromTheirSide) {
    const Quality auc{QualityKind::Auc, 0.78};
    EXPECT_TRUE(auc.reaches({QualityKind::Auc, 0.78}));
    EXPECT_FALSE(auc.reaches({QualityKind::Auc, 0.79}));
    const Quality loss{QualityKind::Loss, 0.3};
    EXPECT_TRUE(loss.reaches({QualityKind::Loss, 0.4}));
    EXPECT_FALSE(loss.reaches({QualityKind::Loss, 0.2}));
    EXPECT_FALSE(Quality({QualityKind::Loss, std::stod("nan")}).reaches(loss));
}

}  // namespace
}  // namespace starling::compute
