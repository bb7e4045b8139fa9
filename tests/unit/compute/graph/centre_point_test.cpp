// Goal: the loss of detectors and its slope are the same in the CPU plan as in the naive reference,
// and the reference's slope is the true one. Method: as operator_test.cpp; cases worked out by hand.

#include "compute/cpu/loops/centre_point.hpp"

#include <cmath>

#include "tests/unit/compute/support/operator_check.hpp"

namespace starling::compute {
namespace {

TEST(CentrePointLoss, MatchesTheReference) {
    for (std::uint64_t seed = 1; seed <= 12; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Rng rng(seed);
        TestGraph test;
        const auto pictures = draw(rng, 1, 3);
        const auto classes = draw(rng, 1, 3);
        const auto x = test.parameter({pictures, classes + 4, draw(rng, 1, 9), draw(rng, 1, 9)});
        const auto scores = test.add("Mul", {x, test.constant({4.0})});
        // Uniform numbers become classes from -1 on, and places and lengths as they are.
        const auto uniform = test.graph.add_input(
            "boxes", {{pictures, draw(rng, 1, 5), kBoxNumbers}, ElementType::F32}
        );
        const auto row = [&](std::vector<double> values) {
            const Attributes given{{"value", std::move(values)}, {"shape", Shape{kBoxNumbers}}};
            return test.graph.emit("Constant", {}, given)[0];
        };
        const auto wide = static_cast<double>(classes) + 1.0;
        const auto spread = test.add("Mul", {uniform, row({wide, 1.0, 1.0, 1.0, 1.0})});
        const auto boxes = test.add("Sub", {spread, row({1.0, 0.0, 0.0, 0.0, 0.0})});
        const auto outputs = test.graph.emit("CentrePointLoss", {scores, boxes});
        test.loss = outputs[0];
        test.log_probabilities = test.add("Reshape", {outputs[1]}, {{"shape", Ints{-1, 1}}});
        test.gradients = *differentiate(test.graph, test.loss);
        expect_reference_gradients(test, seed);
        expect_plan_matches(test, seed, 1 + static_cast<int>(seed % 2));
    }
}

TEST(CentrePointLoss, OneBoxByHand) {
    // One class, 1 x 2 cells; the box fills the right cell.
    cpu::CentrePointShape shape{1, 1, 1, 1, 2, 2};
    const std::vector<float> boxes{0, 0.75F, 0.5F, 0.5F, 1.0F, -1, 0, 0, 0, 0};
    const std::vector<float> scores{0, 0, 0, 3, 0, 1, 0, 0.5F, 0, 0};
    std::vector<float> heat(2);
    cpu::CentrePointLoss loss(shape);
    // Both cells have probability a half: log 2 / 4 each. Width and offset are off by 2 and by 0.5.
    const double wanted = 2.0 * std::log(2.0) / 4.0 + 0.1 * 2.0 + 0.0 + 0.0 + 0.5;
    EXPECT_NEAR(loss.compute(scores, boxes, heat), wanted, 1e-6);
    EXPECT_EQ(heat, (std::vector<float>{0, 1}));
    std::vector<float> slope(scores.size(), 9.0F);
    cpu::centre_point_gradient(shape, scores, boxes, heat, slope);
    EXPECT_FLOAT_EQ(slope[3], 0.1F);
    EXPECT_FLOAT_EQ(slope[5], 0.0F);
    EXPECT_FLOAT_EQ(slope[7], 0.0F);
    EXPECT_FLOAT_EQ(slope[9], -1.0F);
    EXPECT_EQ(slope[2], 0.0F);
}

TEST(CentrePointLoss, PicturesWithoutBoxesTeachThatThereIsNothing) {
    cpu::CentrePointShape shape{1, 2, 1, 2, 2, 1};
    const std::vector<float> boxes{-1, 0, 0, 0, 0, -1, 0, 0, 0, 0};
    std::vector<float> scores(2 * 5 * 4, 0.0F);
    std::vector<float> heat(8);
    cpu::CentrePointLoss loss(shape);
    EXPECT_NEAR(loss.compute(scores, boxes, heat), 8.0 * std::log(2.0) / 4.0, 1e-6);
    std::vector<float> slope(scores.size());
    cpu::centre_point_gradient(shape, scores, boxes, heat, slope);
    EXPECT_GT(slope[0], 0.0F);
    EXPECT_EQ(slope[4], 0.0F);
}

TEST(CentrePointLoss, ExtremeScoresStayFinite) {
    cpu::CentrePointShape shape{1, 1, 1, 1, 2, 1};
    const std::vector<float> boxes{0, 0.25F, 0.5F, 0.5F, 1.0F};
    const std::vector<float> scores{-200, 200, 0, 0, 0, 0, 0, 0, 0, 0};
    std::vector<float> heat(2);
    EXPECT_NEAR(cpu::CentrePointLoss(shape).compute(scores, boxes, heat), 401.5, 1.0);
    std::vector<float> slope(scores.size());
    cpu::centre_point_gradient(shape, scores, boxes, heat, slope);
    EXPECT_FLOAT_EQ(slope[0], -1.0F);
    EXPECT_FLOAT_EQ(slope[1], 1.0F);
}

TEST(CentrePointLoss, OtherShapesAreRefused) {
    Graph graph;
    const auto scores = graph.add_input("x", {{2, 4, 3, 3}, ElementType::F32});
    const auto boxes = graph.add_input("z", {{2, 7, 5}, ElementType::F32});
    EXPECT_TRUE(graph.add("CentrePointLoss", {scores, boxes}).has_error()) << "no class";
    const auto more = graph.add_input("y", {{2, 5, 3, 3}, ElementType::F32});
    EXPECT_TRUE(graph.add("CentrePointLoss", {more, boxes}).has_value());
    const auto others = graph.add_input("w", {{1, 7, 5}, ElementType::F32});
    EXPECT_TRUE(graph.add("CentrePointLoss", {more, others}).has_error());
}

}  // namespace
}  // namespace starling::compute
