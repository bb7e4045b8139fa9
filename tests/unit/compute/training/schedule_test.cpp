// Goal: learning rates follow their tables, specs parse and print, mistakes are explained.

#include "compute/training/schedule.hpp"

#include <gtest/gtest.h>

namespace starling::compute {
namespace {

OptimizerSpec parsed(std::string_view text) {
    const auto spec = OptimizerSpec::parse(text);
    EXPECT_TRUE(spec.has_value()) << text;
    return spec.has_value() ? *spec : OptimizerSpec{};
}

TEST(Schedule, ConstantStaysAfterALinearWarmUp) {
    const auto spec = parsed("sgd?lr=0.4&warmup=4");
    EXPECT_DOUBLE_EQ(learning_rate_at(spec, 0), 0.1);
    EXPECT_DOUBLE_EQ(learning_rate_at(spec, 1), 0.2);
    EXPECT_DOUBLE_EQ(learning_rate_at(spec, 3), 0.4);
    EXPECT_DOUBLE_EQ(learning_rate_at(spec, 4), 0.4);
    EXPECT_DOUBLE_EQ(learning_rate_at(spec, 1'000'000'000'000), 0.4);
}

TEST(Schedule, StepDropsEverySoManySteps) {
    const auto spec = parsed("sgd?lr=1&schedule=step&step_every=10&gamma=0.5");
    EXPECT_DOUBLE_EQ(learning_rate_at(spec, 9), 1.0);
    EXPECT_DOUBLE_EQ(learning_rate_at(spec, 10), 0.5);
    EXPECT_DOUBLE_EQ(learning_rate_at(spec, 25), 0.25);
}

TEST(Schedule, CosineFallsToTheFloorAndStaysThere) {
    const auto spec = parsed("sgd?lr=2&schedule=cosine&total=110&warmup=10&floor=0.1");
    EXPECT_DOUBLE_EQ(learning_rate_at(spec, 10), 2.0);
    EXPECT_NEAR(learning_rate_at(spec, 60), 1.1, 1e-12);
    EXPECT_NEAR(learning_rate_at(spec, 110), 0.2, 1e-12);
    EXPECT_NEAR(learning_rate_at(spec, 5000), 0.2, 1e-12);
    for (std::uint64_t step = 10; step < 110; ++step) {
        EXPECT_GT(learning_rate_at(spec, step), learning_rate_at(spec, step + 1));
    }
}

TEST(Schedule, PrintsWhatItParses) {
    const auto spec =
        parsed("sgd?lr=0.125&momentum=0.5&nesterov=1&weight_decay=0.0001&schedule=step&step_every=7"
        );
    EXPECT_EQ(
        spec.to_string(),
        "sgd?floor=0&gamma=0.1&lr=0.125&momentum=0.5&nesterov=1&schedule=step&step_every=7&total=0"
        "&warmup=0&weight_decay=1e-04"
    );
    EXPECT_EQ(parsed(spec.to_string()).to_string(), spec.to_string());
}

TEST(Schedule, AdamPrintsWhatItParses) {
    const auto spec = parsed("adamw?lr=0.5&beta2=0.95&clip=1&accumulate=4");
    EXPECT_EQ(
        spec.to_string(),
        "adamw?accumulate=4&beta1=0.9&beta2=0.95&clip=1&eps=1e-08&floor=0&gamma=0.1&lr=0.5"
        "&schedule=constant&step_every=0&total=0&warmup=0&weight_decay=0.01"
    );
    EXPECT_EQ(parsed(spec.to_string()).to_string(), spec.to_string());
}

TEST(Schedule, DecayOfMatricesIsPrintedAndThatOfAllIsNot) {
    const auto spec = parsed("adamw?decay=matrices");
    EXPECT_TRUE(spec.decay_matrices);
    EXPECT_TRUE(parsed(spec.to_string()).decay_matrices);
    EXPECT_EQ(parsed("adamw?decay=all").to_string(), parsed("adamw").to_string());
}

TEST(Schedule, MistakesAreUsageFaultsThatNameTheKey) {
    const std::pair<const char*, const char*> table[] = {
        {"adam", "there is sgd"},
        {"sgd:path", "there is sgd"},
        {"sgd?rate=1", "has no option 'rate'"},
        {"sgd?lr=-1", "lr=-1"},
        {"sgd?lr=nan", "lr=nan"},
        {"sgd?momentum=1", "momentum=1"},
        {"adamw?momentum=0.5", "has no option 'momentum'"},
        {"adamw?beta1=1", "beta1=1"},
        {"adamw?decay=some", "give all or matrices"},
        {"sgd?decay=all", "has no option 'decay'"},
        {"adamw?scale=all", "scale=all"},
        {"adamw?scale=-1", "scale=-1"},
        {"adamw?scale=65537", "scale=65537"},
        {"sgd?scale=auto", "has no option 'scale'"},
        {"sgd?accumulate=0", "accumulate=0"},
        {"sgd?clip=-1", "clip=-1"},
        {"sgd?nesterov=yes", "nesterov=yes"},
        {"sgd?momentum=0&nesterov=1", "nesterov=1"},
        {"sgd?schedule=linear", "constant, step or cosine"},
        {"sgd?schedule=cosine", "total=0"},
        {"sgd?schedule=cosine&total=5&warmup=5", "total=5"},
        {"sgd?schedule=step", "step_every=0"},
        {"sgd?warmup=-1", "warmup=-1"},
        {"", "names nothing"},
    };
    for (const auto& [text, expected] : table) {
        const auto spec = OptimizerSpec::parse(text);
        ASSERT_TRUE(spec.has_error()) << text;
        EXPECT_EQ(spec.error().code, FaultCode::Usage);
        EXPECT_NE(spec.error().message.find(expected), std::string::npos) << spec.error().message;
    }
}

TEST(OptimizerSpec, SaysForHowManyPeersTheRateScales) {
    EXPECT_EQ(OptimizerSpec::parse("adamw")->scale, 0U);
    EXPECT_EQ(OptimizerSpec::parse("adamw")->to_string().find("scale"), std::string::npos)
        << "older releases do not know it";
    for (const auto& [text, peers] :
         {std::pair("adamw?scale=auto", kScaleAny),
          std::pair("adamw?scale=16", std::uint64_t{16})}) {
        const auto spec = OptimizerSpec::parse(text);
        ASSERT_TRUE(spec.has_value()) << spec.error().message;
        EXPECT_EQ(spec->scale, peers);
        EXPECT_EQ(OptimizerSpec::parse(spec->to_string())->scale, peers);
    }
}

}  // namespace
}  // namespace starling::compute
