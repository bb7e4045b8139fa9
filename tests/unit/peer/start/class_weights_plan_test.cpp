// Goal: each peer of a private swarm weighs classes by its own samples, and nobody learns how often they occur; where
// samples are shared, all weigh alike. Method: plans of a founder and a joiner whose tables have classes unlike often.

#include <cmath>
#include <fstream>
#include <gtest/gtest.h>

#include "peer/start/swarm_plan.hpp"
#include "peer/training/engine_options.hpp"
#include "tests/support/temporary_directory.hpp"

namespace starling::peer {
namespace {

class WeightedPlans : public ::testing::Test {
protected:
    /// Writes 200 rows of which every so-many-th is ill, and returns the configuration of who has them.
    PeerConfig owner(const std::string& name, int every, bool is_private) {
        const auto path = directory_.path() / name;
        std::ofstream file(path);
        file << "age,kind\n";
        for (int i = 0; i < 200; ++i) file << i << "," << (i % every == 0 ? "ill" : "well") << "\n";
        PeerConfig config;
        config.dataset = "csv:" + path.string() + "?label=kind";
        config.model = "tabular";
        config.private_data = is_private;
        config.class_weights = "logits";
        return config;
    }

    static SwarmPlan found(const PeerConfig& config) {
        EXPECT_TRUE(validate(config).has_value());
        const auto founding = load_founding(config);
        EXPECT_TRUE(founding.has_value()) << founding.error().message;
        return *plan_founding(config, false, &*founding);
    }

    static double ratio(const std::vector<float>& weights) {
        EXPECT_EQ(weights.size(), 2U);
        return static_cast<double>(weights.at(0)) / static_cast<double>(weights.at(1));
    }

    starling::testing::TemporaryDirectory directory_;
};

TEST_F(WeightedPlans, PrivateSamplesAreWeighedByTheirOwnersAlone) {
    const auto plan = found(owner("founder.csv", 10, true));
    const auto met = decode_descriptor(plan.blob);
    ASSERT_TRUE(met.has_value()) << met.error().message;
    EXPECT_EQ(met->class_weighting, ClassWeighting::Logits);
    EXPECT_TRUE(met->class_weights.empty());
    EXPECT_TRUE(met->manifest.schema.label.weights.empty());
    // About one in ten is ill there, and one in two here.
    const double theirs = ratio(plan.descriptor.class_weights);
    EXPECT_NEAR(std::log(theirs), std::log(9.0), 0.5);
    const auto own = load_own(owner("joiner.csv", 2, true), met->manifest, met->class_weighting);
    ASSERT_TRUE(own.has_value()) << own.error().message;
    EXPECT_NEAR(std::log(ratio(own->class_weights)), 0.0, 0.3);
    EXPECT_NE(own->notes.back().find("class weights: ill"), std::string::npos);
    const auto task = engine_options(plan.descriptor, 1).task;
    EXPECT_EQ(task.weights, plan.descriptor.class_weights);
    EXPECT_EQ(task.weighting, compute::Weighting::Scores);
    EXPECT_TRUE(compute::check_task(task).has_value());
}

TEST_F(WeightedPlans, SharedSamplesAreWeighedAlikeByAll) {
    auto config = owner("founder.csv", 10, false);
    config.class_weights = "balanced";
    auto plan = found(config);
    const auto met = decode_descriptor(plan.blob);
    ASSERT_TRUE(met.has_value()) << met.error().message;
    EXPECT_EQ(met->class_weights, plan.descriptor.class_weights);
    EXPECT_NEAR(std::log(ratio(met->class_weights)), std::log(9.0), 0.5);
    EXPECT_EQ(engine_options(*met, 1).task.weighting, compute::Weighting::Loss);
    plan.descriptor = *met;
    EXPECT_TRUE(lay_out(plan).has_value());
    // A data set that cannot be weighed is refused before anything is founded.
    config.dataset += "&balance=1";
    EXPECT_EQ(load_founding(config).error().code, FaultCode::Usage);
    config.class_weights = "none";
    EXPECT_TRUE(found(config).descriptor.class_weights.empty());
}

}  // namespace
}  // namespace starling::peer
