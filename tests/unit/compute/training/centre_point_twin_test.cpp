// Goal: the loss of detectors and its gradient are those that PyTorch finds for the paper's formulas.
// Method: the cases of tests/golden/torch_centre_point.json, beside the script that made them. The
// scores are parameters, so that their gradient can be read.

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "compute/models/training_loss.hpp"
#include "tests/unit/compute/support/graph_fixture.hpp"

namespace starling::compute {
namespace {

void expect_torch(const nlohmann::json& given) {
    const auto shape = given.at("scores_shape").get<Shape>();
    const auto rows = given.at("boxes_shape").get<Shape>();
    Task task{{3, 4 * shape[2], 4 * shape[3]}, shape[1] - 4, 0, LabelKind::Boxes};
    task.boxes = rows[1];
    TestGraph test;
    const auto scores = test.parameter(shape);
    const auto labels = test.graph.add_input("labels", label_type(task, {shape[0]}));
    EXPECT_EQ(test.graph.shape(labels), rows);
    const auto loss = add_training_loss(test.graph, scores, labels, task);
    ASSERT_TRUE(loss.has_value()) << loss.error().message;
    const auto gradients = differentiate(test.graph, loss->loss);
    ASSERT_TRUE(gradients.has_value());
    const ParameterLayout layout(test.graph.parameters());
    ParameterStore store(layout);
    store.write_all(given.at("scores").get<std::vector<float>>());
    auto plan = compile_cpu_plan({test.graph, {loss->loss}, *gradients, 1}, layout);
    ASSERT_TRUE(plan.has_value()) << plan.error().message;
    (*plan)->pack(store);
    const auto boxes = given.at("boxes").get<std::vector<float>>();
    std::copy(boxes.begin(), boxes.end(), (*plan)->input_values(labels).begin());
    std::atomic<bool> never{false};
    ASSERT_TRUE((*plan)->run(never));
    const auto expected = given.at("loss").get<double>();
    EXPECT_NEAR(static_cast<double>((*plan)->output(loss->loss)[0]), expected, 2e-6 * expected);
    const auto gradient = given.at("gradient").get<std::vector<double>>();
    for (std::size_t i = 0; i < gradient.size(); ++i) {
        const auto ours = static_cast<double>((*plan)->gradients()[i]);
        EXPECT_NEAR(ours, gradient[i], 1e-6 * std::abs(gradient[i]) + 1e-7) << "score " << i;
    }
}

TEST(CentrePointTwin, LossAndGradientArePyTorchs) {
    std::ifstream file(STARLING_GOLDEN "/torch_centre_point.json");
    const auto golden = nlohmann::json::parse(file);
    ASSERT_EQ(golden.at("cases").size(), 3U);
    for (const auto& given : golden.at("cases")) {
        SCOPED_TRACE(given.at("scores_shape").dump());
        expect_torch(given);
    }
}

}  // namespace
}  // namespace starling::compute
