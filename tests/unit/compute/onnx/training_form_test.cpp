// Goal: files that were exported in their training form train, and are evaluated and exported as
// what they are: BatchNormalization with running statistics, Dropout without chance.
// Method: the same small net with and without the training form.

#include "compute/onnx/export.hpp"
#include "tests/unit/compute/support/onnx_model.hpp"

namespace starling::compute::onnx {
namespace {

const Task kTask{{4}, 3};

/// Three features, normalised, then three scores.
FileBuilder normalised(std::int64_t training_mode, std::int64_t opset = 15) {
    FileBuilder b;
    b.file.opset = opset;
    b.input("x", {-1, 4}).floats("w", {4, 3}).floats("scale", {3}, {1.5F, 0.5F, 2.0F});
    b.floats("shift", {3}, {0.1F, -0.2F, 0.3F}).floats("mean", {3}, {0.5F, -0.5F, 0.25F});
    b.floats("variance", {3}, {1.0F, 2.0F, 3.0F}).node("MatMul", {"x", "w"}, {"m"});
    b.node(
        "BatchNormalization",
        {"m", "scale", "shift", "mean", "variance"},
        training_mode != 0 ? std::vector<std::string>{"n", "mean2", "variance2"}
                           : std::vector<std::string>{"n"},
        {{"training_mode", training_mode}}
    );
    b.floats("w2", {3, 3}).node("MatMul", {"n", "w2"}, {"y"}).output("y");
    return b;
}

std::vector<double> doubles(const std::vector<float>& values) {
    return {values.begin(), values.end()};
}

TEST(TrainingForm, BatchNormIsEvaluatedWithRunningStatistics) {
    const auto values = doubles(random_floats(20));
    const auto plain = evaluated_scores(normalised(0).bytes(), kTask, 5, values);
    const auto training = evaluated_scores(normalised(1).bytes(), kTask, 5, values);
    ASSERT_EQ(plain.size(), 15U);
    EXPECT_EQ(training, plain);
}

TEST(TrainingForm, BatchNormOfAnyAgeIsEvaluatedWithRunningStatistics) {
    // Before opset 7 a node without is_test is in its training form.
    const auto values = doubles(random_floats(20));
    const auto plain = evaluated_scores(normalised(0).bytes(), kTask, 5, values);
    EXPECT_EQ(evaluated_scores(normalised(0, 6).bytes(), kTask, 5, values), plain);
}

TEST(TrainingForm, BatchNormTrainsItsStatistics) {
    Trained net(normalised(1).bytes(), kTask, 8);
    const auto before = net.tensor("mean");
    const auto values = random_floats(32);
    const std::vector<std::int32_t> labels{0, 1, 2, 0, 1, 2, 0, 1};
    net.engine->step(values, labels, 0.1);
    EXPECT_NE(net.tensor("mean"), before);
}

TEST(TrainingForm, ZeroRowsBehindTheSamplesDoNotChangeTheirScores) {
    // The last batch of an evaluation is filled up with zeros.
    auto values = doubles(random_floats(12));
    const auto alone = evaluated_scores(normalised(1).bytes(), kTask, 3, values);
    values.resize(20, 0.0);
    const auto padded = evaluated_scores(normalised(1).bytes(), kTask, 5, values);
    ASSERT_EQ(alone.size(), 9U);
    for (std::size_t i = 0; i < alone.size(); ++i) EXPECT_FLOAT_EQ(padded[i], alone[i]) << i;
}

TEST(TrainingForm, ExportComputesWhatTheEvaluationComputes) {
    const auto file = normalised(1).bytes();
    ParameterStore store(*model_layout("onnx:a.onnx", kTask, file));
    store.initialize(Rng(1));
    const auto out = export_onnx(
        [&](std::int64_t batch) {
            return build_model("onnx:a.onnx", kTask, batch, Purpose::Inference, file);
        },
        store
    );
    ASSERT_TRUE(out.has_value()) << out.error().message;
    const auto values = doubles(random_floats(20));
    const auto own = evaluated_scores(file, kTask, 5, values);
    const auto exported = evaluated_scores(*out, kTask, 5, values);
    ASSERT_EQ(own.size(), exported.size());
    for (std::size_t i = 0; i < own.size(); ++i) EXPECT_FLOAT_EQ(exported[i], own[i]) << i;
}

/// Dropout as exporters write its training form since opset 12.
FileBuilder dropped(bool mask) {
    FileBuilder b;
    b.input("x", {-1, 4}).floats("w", {4, 3}).constant("ratio", {}, {0.5F});
    NodeMessage mode;
    mode.op = "Constant";
    mode.outputs = {"mode"};
    AttributeMessage value;
    value.name = "value";
    value.tensor.emplace();
    value.tensor->type = DataType::Bool;
    value.tensor->integers = {1};
    mode.attributes.push_back(value);
    b.file.nodes.push_back(mode);
    b.node(
        "Dropout",
        {"x", "ratio", "mode"},
        mask ? std::vector<std::string>{"d", "mask"} : std::vector<std::string>{"d"}
    );
    b.node("MatMul", {"d", "w"}, {"y"}).output("y");
    return b;
}

TEST(TrainingForm, DropoutIsEvaluatedWithoutChance) {
    const auto values = doubles(random_floats(20));
    FileBuilder plain;
    plain.input("x", {-1, 4}).floats("w", {4, 3}).node("MatMul", {"x", "w"}, {"y"}).output("y");
    const auto expected = evaluated_scores(plain.bytes(), kTask, 5, values);
    for (const bool mask : {false, true}) {
        EXPECT_EQ(evaluated_scores(dropped(mask).bytes(), kTask, 5, values), expected);
    }
}

TEST(TrainingForm, DropoutTrains) {
    for (const bool mask : {false, true}) {
        const auto model =
            build_model("onnx:a.onnx", kTask, 4, Purpose::Training, dropped(mask).bytes());
        ASSERT_TRUE(model.has_value()) << model.error().message;
        const auto names = operators(model->graph);
        EXPECT_EQ(std::count(names.begin(), names.end(), "Dropout"), 1);
    }
}

TEST(TrainingForm, WhatTheFileSaysIsComputedWhereNobodyTrains) {
    // The vectors of ONNX ask for it.
    ImportOptions options;
    options.batch = 4;
    const auto model = import_onnx(normalised(1).bytes(), options);
    ASSERT_TRUE(model.has_value());
    for (const auto& node : model->graph.nodes()) {
        if (node.op->name != "BatchNormalization") continue;
        EXPECT_EQ(node.attributes.integer("training_mode", 0), 1);
    }
    EXPECT_TRUE(import_onnx(dropped(false).bytes(), options).has_error());
}

}  // namespace
}  // namespace starling::compute::onnx
