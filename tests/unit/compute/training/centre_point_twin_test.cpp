// Goal: the loss of detectors and its gradient are those that PyTorch finds for the paper's formulas.
// Method: the cases of tests/golden/torch_centre_point.json, beside the script that made them.

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/unit/compute/support/torch_loss.hpp"

namespace starling::compute {
namespace {

void expect_centres(const nlohmann::json& given) {
    const auto shape = given.at("scores_shape").get<Shape>();
    const auto rows = given.at("boxes_shape").get<Shape>();
    Task task{{3, 4 * shape[2], 4 * shape[3]}, shape[1] - 4, 0, LabelKind::Boxes};
    task.boxes = rows[1];
    EXPECT_EQ(label_type(task, {shape[0]}).shape, rows);
    const auto load = [&given](Plan& plan, ValueId labels) {
        const auto boxes = given.at("boxes").get<std::vector<float>>();
        std::copy(boxes.begin(), boxes.end(), plan.input_values(labels).begin());
    };
    expect_torch({task, shape, {shape[0]}, load, 1e-7}, given);
}

TEST(CentrePointTwin, LossAndGradientArePyTorchs) {
    std::ifstream file(STARLING_GOLDEN "/torch_centre_point.json");
    const auto golden = nlohmann::json::parse(file);
    ASSERT_EQ(golden.at("cases").size(), 3U);
    for (const auto& given : golden.at("cases")) {
        SCOPED_TRACE(given.at("scores_shape").dump());
        expect_centres(given);
    }
}

}  // namespace
}  // namespace starling::compute
