// Goal: Dropout and the losses compute the same in the CPU plan as in the naive reference, forward and
// backward, and the reference's gradients are the true ones. Method: as operator_test.cpp.

#include <cmath>
#include <string>

#include "compute/graph/operator.hpp"
#include "tests/unit/compute/support/operator_check.hpp"

namespace starling::compute {
namespace {

TEST(Dropout, KeepsTheMeanAndItsGradientFollowsTheMask) {
    TestGraph test;
    const auto x = test.parameter({4, 5000});
    const Attributes half{
        {"ratio", 0.25}, {"seed", std::int64_t{7}}, {"training_mode", std::int64_t{1}}};
    const auto outputs = test.graph.emit("Dropout", {x}, half);
    test.finish(outputs[0]);
    TestRun run(test, 1);
    PlanRequest request{test.graph, {outputs[0], outputs[1], test.loss}, test.gradients, 1};
    auto plan = test_device().compile(std::move(request), run.layout);
    ASSERT_TRUE(plan.has_value()) << plan.error().message;
    std::atomic<bool> interrupt{false};
    std::vector<float> first;
    for (int repetition = 0; repetition < 2; ++repetition) {
        ASSERT_TRUE((*plan)->pack(run.store));
        ASSERT_TRUE((*plan)->run(interrupt));
        const auto mask = (*plan)->output(outputs[1]);
        const auto dx = read(test_device(), (*plan)->gradients());
        double sum = 0.0;
        for (std::size_t i = 0; i < mask.size(); ++i) {
            sum += static_cast<double>(mask[i]);
            EXPECT_TRUE(mask[i] == 0.0F || std::abs(mask[i] - 4.0F / 3.0F) < 1e-6F);
            EXPECT_EQ(dx[i] == 0.0F, mask[i] == 0.0F);
        }
        EXPECT_NEAR(sum / static_cast<double>(mask.size()), 1.0, 0.02);
        if (repetition == 0) {
            first.assign(mask.begin(), mask.end());
        } else {
            EXPECT_FALSE(std::equal(mask.begin(), mask.end(), first.begin()));
        }
    }
}

/// Runs a graph whose inputs are answers and labels, and returns what Score counts.
std::int32_t score_of(Device& device, const Shape& shape, bool of_class, std::uint64_t seed) {
    Graph graph;
    const auto answers = graph.add_input("answers", {shape, ElementType::F32});
    const auto labels = of_class ? graph.add_input("labels", {{shape[0]}, ElementType::I32})
                                 : graph.add_input("labels", {shape, ElementType::F32});
    const auto hits = graph.emit("Score", {answers, labels})[0];
    const ParameterLayout none;
    auto plan = device.compile({graph, {hits}, {}, 1}, none);
    EXPECT_TRUE(plan.has_value()) << plan.error().message;
    Rng rng(seed);
    reference::Tensors tensors;
    // Few different values, so that there are ties.
    for (auto& value : (*plan)->input_values(answers)) {
        value = static_cast<float>(rng.below(4)) - 1.0F;
        tensors[answers].values.push_back(static_cast<double>(value));
    }
    if (of_class) {
        for (auto& label : (*plan)->input_labels(labels)) {
            label = static_cast<std::int32_t>(rng.below(static_cast<std::uint64_t>(shape[1])));
            tensors[labels].values.push_back(label);
        }
    } else {
        for (auto& target : (*plan)->input_values(labels)) {
            target = rng.chance(0.5) ? 1.0F : 0.0F;
            tensors[labels].values.push_back(static_cast<double>(target));
        }
    }
    tensors[answers].shape = shape;
    tensors[labels].shape = graph.shape(labels);
    std::atomic<bool> never{false};
    EXPECT_TRUE((*plan)->run(never).has_value());
    const auto found = (*plan)->output_labels(hits)[0];
    EXPECT_TRUE(reference::evaluate(graph, tensors).has_value());
    EXPECT_EQ(static_cast<double>(found), tensors.at(hits).values[0]);
    return found;
}

TEST(Score, CountsWhatTheReferenceCounts) {
    for (auto* device : test_devices()) {
        std::int32_t hits = 0;
        for (const Shape& shape : {Shape{1, 2}, Shape{63, 5}, Shape{65, 65}, Shape{997, 3}}) {
            hits += score_of(*device, shape, true, 3);
            hits += score_of(*device, shape, false, 4);
        }
        EXPECT_GT(hits, 1000);
    }
}

TEST(Loss, SmoothingWeightsAndIgnoredLabelsMatchTheReference) {
    for (std::uint64_t seed = 1; seed <= 6; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Rng rng(seed);
        TestGraph test;
        const auto classes = draw(rng, 2, 9);
        const auto scores = test.parameter({draw(rng, 4, 9), classes});
        test.labels =
            test.graph.add_input("labels", {{test.graph.shape(scores)[0]}, ElementType::I32});
        std::vector<ValueId> operands{scores, test.labels};
        if (rng.chance(0.5)) {
            std::vector<double> weights;
            for (std::int64_t c = 0; c < classes; ++c) weights.push_back(0.5 + rng.uniform());
            const Attributes given{{"value", weights}, {"shape", Shape{classes}}};
            operands.push_back(test.graph.emit("Constant", {}, given)[0]);
        }
        Attributes attributes{{"label_smoothing", rng.chance(0.5) ? 0.1 : 0.0}};
        if (classes > 3) attributes.set("ignore_index", std::int64_t{1});
        const auto outputs = test.graph.emit("SoftmaxCrossEntropyLoss", operands, attributes);
        test.loss = outputs[0];
        test.log_probabilities = outputs[1];
        test.gradients = *differentiate(test.graph, test.loss);
        expect_reference_gradients(test, seed);
        expect_plan_matches(test, seed, 1);
    }
}

TEST(Loss, ThoseOfNumbersMatchTheReference) {
    for (const auto* op : {"BinaryCrossEntropyLoss", "MeanSquaredErrorLoss", "SmoothL1Loss"}) {
        for (std::uint64_t seed = 1; seed <= 6; ++seed) {
            SCOPED_TRACE(std::string(op) + " seed " + std::to_string(seed));
            Rng rng(seed);
            TestGraph test;
            const Shape shape{draw(rng, 1, 4), draw(rng, 1, 5)};
            const auto x = test.parameter(shape);
            const auto target = test.graph.add_input("targets", {shape, ElementType::F32});
            test.loss = test.add(op, {x, target}, {{"beta", 0.7}});
            test.log_probabilities = test.add("Reshape", {x}, {{"shape", Ints{-1, 1}}});
            test.gradients = *differentiate(test.graph, test.loss);
            expect_reference_gradients(test, seed);
            expect_plan_matches(test, seed, 1);
        }
    }
}

/// The mean over all elements, by the definition.
double naive_binary(
    const std::vector<double>& x, const std::vector<double>& z, const std::vector<double>& p
) {
    double sum = 0.0;
    for (std::size_t i = 0; i < x.size(); ++i) {
        const double s = 1.0 / (1.0 + std::exp(-x[i]));
        sum -= p[i % p.size()] * z[i] * std::log(s) + (1.0 - z[i]) * std::log(1.0 - s);
    }
    return sum / static_cast<double>(x.size());
}

TEST(Loss, BinaryWithWeightsIsItsDefinition) {
    for (std::uint64_t seed = 1; seed <= 6; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Rng rng(seed);
        TestGraph test;
        const Shape shape{draw(rng, 1, 4), draw(rng, 1, 5)};
        const auto x = test.parameter(shape);
        const auto target = test.graph.add_input("targets", {shape, ElementType::F32});
        std::vector<double> weights;
        for (std::int64_t c = 0; c < shape[1]; ++c) weights.push_back(0.2 + 5.0 * rng.uniform());
        const Attributes given{{"value", weights}, {"shape", Shape{shape[1]}}};
        const auto weight = test.graph.emit("Constant", {}, given)[0];
        test.loss = test.add("BinaryCrossEntropyLoss", {x, target, weight});
        test.log_probabilities = test.add("Reshape", {x}, {{"shape", Ints{-1, 1}}});
        test.gradients = *differentiate(test.graph, test.loss);
        expect_reference_gradients(test, seed);
        expect_plan_matches(test, seed, 1);
        TestRun run(test, seed);
        const double loss = run.reference_loss(test);
        const auto& scores = run.tensors.at(x).values;
        const auto& targets = run.tensors.at(target).values;
        EXPECT_NEAR(loss, naive_binary(scores, targets, weights), 1e-9);
    }
}

TEST(Loss, WeightsOfAnotherNumberAreRefused) {
    Graph graph;
    const auto x = graph.add_input("x", {{3, 4}, ElementType::F32});
    const auto z = graph.add_input("z", {{3, 4}, ElementType::F32});
    const auto p = graph.add_input("p", {{3}, ElementType::F32});
    const auto added = graph.add("BinaryCrossEntropyLoss", {x, z, p});
    ASSERT_TRUE(added.has_error());
    EXPECT_NE(added.error().message.find("one pos_weight for each label"), std::string::npos);
}

}  // namespace
}  // namespace starling::compute
