// Goal: the loss of each kind of labels and its gradient are PyTorch's.
// Method: the cases of tests/golden/torch_label_losses.json, beside the script that made them.

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/unit/compute/support/torch_loss.hpp"

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

void expect_loss(const nlohmann::json& given) {
    const auto task = task_of(given);
    const auto rows = given.at("rows").get<std::int64_t>();
    const auto load = [&](Plan& plan, ValueId labels) {
        load_targets(plan, labels, task.kind, given);
    };
    expect_torch({task, {rows, task.classes}, {rows}, load, 5e-8}, given);
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
        expect_loss(given);
    }
}

}  // namespace
}  // namespace starling::compute
