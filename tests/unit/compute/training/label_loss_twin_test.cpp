// Goal: the loss of each kind of labels and its gradient are PyTorch's.
// Method: the cases of tests/golden/torch_label_losses.json, beside the script that made them. The
// scores are parameters, so that their gradient can be read.

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "compute/models/training_loss.hpp"
#include "tests/unit/compute/support/graph_fixture.hpp"

namespace starling::compute {
namespace {

Task task_of(const nlohmann::json& given) {
    Task task{{1}, given.at("classes").get<std::int64_t>()};
    const auto name = given.at("name").get<std::string>();
    task.kind = name == "Class"     ? LabelKind::Class
                : name == "Classes" ? LabelKind::Classes
                                    : LabelKind::Numbers;
    if (given.contains("weights")) task.weights = given.at("weights").get<std::vector<float>>();
    task.beta = given.value("beta", 0.0);
    return task;
}

/// Writes the case's targets into the plan's input.
void load_targets(Plan& plan, ValueId labels, LabelKind kind, const nlohmann::json& given) {
    const auto targets = given.at("targets").get<std::vector<float>>();
    if (kind != LabelKind::Class) {
        std::copy(targets.begin(), targets.end(), plan.input_values(labels).begin());
        return;
    }
    const auto to = plan.input_labels(labels);
    for (std::size_t i = 0; i < to.size(); ++i) to[i] = static_cast<std::int32_t>(targets[i]);
}

void expect_torch(const nlohmann::json& given) {
    const auto task = task_of(given);
    const auto rows = given.at("rows").get<std::int64_t>();
    TestGraph test;
    const auto scores = test.parameter({rows, task.classes});
    const auto labels = test.graph.add_input("labels", label_type(task, {rows}));
    const auto loss = add_training_loss(test.graph, scores, labels, task);
    ASSERT_TRUE(loss.has_value()) << loss.error().message;
    const auto gradients = differentiate(test.graph, loss->loss);
    ASSERT_TRUE(gradients.has_value());
    const ParameterLayout layout(test.graph.parameters());
    ParameterStore store(layout);
    store.write_all(given.at("scores").get<std::vector<float>>());
    auto plan = compile_cpu_plan({test.graph, {loss->loss, loss->answers}, *gradients, 1}, layout);
    ASSERT_TRUE(plan.has_value()) << plan.error().message;
    (*plan)->pack(store);
    load_targets(**plan, labels, task.kind, given);
    std::atomic<bool> never{false};
    ASSERT_TRUE((*plan)->run(never));
    const auto expected = given.at("loss").get<double>();
    EXPECT_NEAR(static_cast<double>((*plan)->output(loss->loss)[0]), expected, 2e-6 * expected);
    const auto gradient = given.at("gradient").get<std::vector<double>>();
    for (std::size_t i = 0; i < gradient.size(); ++i) {
        const auto ours = static_cast<double>((*plan)->gradients()[i]);
        EXPECT_NEAR(ours, gradient[i], 1e-6 * std::abs(gradient[i]) + 5e-8) << "score " << i;
    }
}

TEST(LabelLossTwin, EachLossAndItsGradientArePyTorchs) {
    std::ifstream file(STARLING_GOLDEN "/torch_label_losses.json");
    const auto golden = nlohmann::json::parse(file);
    ASSERT_EQ(golden.at("cases").size(), 9U);
    for (const auto& given : golden.at("cases")) {
        SCOPED_TRACE(
            given.at("name").get<std::string>() + " " +
            given.value("weights", nlohmann::json()).dump()
        );
        expect_torch(given);
    }
}

}  // namespace
}  // namespace starling::compute
