// Goal: files that were exported in their training form train, and are evaluated and exported as
// what they are: BatchNormalization with running statistics, Dropout without chance.
// Method: the same small net with and without the training form.

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
    (void)net.engine->step({values, labels}, 0.1);
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
    const auto out = exported(file, kTask);
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

TEST(Kink, PReluHasTheLeftSlopeAtZero) {
    // All scores are zero, and without a slope there the weights would never move.
    FileBuilder b;
    b.input("x", {-1, 4}).floats("w", {4, 3}, std::vector<float>(12, 0.0F));
    b.floats("slope", {3}, {0.25F, 0.5F, 0.75F}).node("MatMul", {"x", "w"}, {"m"});
    b.node("PRelu", {"m", "slope"}, {"y"}).output("y");
    Trained net(b.bytes(), kTask, 4);
    const std::vector<std::int32_t> labels{0, 1, 2, 0};
    (void)net.engine->step({random_floats(16), labels}, 0.1);
    const auto moved = net.tensor("w");
    ASSERT_EQ(moved.size(), 12U);
    for (const float value : moved) EXPECT_NE(value, 0.0F);
}

// A normalisation over one value leaves nothing of it.

std::string refusal(const FileBuilder& b, const Task& task, std::int64_t batch) {
    const auto model = build_model("onnx:a.onnx", task, batch, Purpose::Training, b.bytes());
    return model.has_error() ? model.error().message : std::string();
}

TEST(LoneValue, BatchOfOneIsRefusedWhereItIsAllThatAChannelHas) {
    const auto said = refusal(normalised(0), kTask, 1);
    EXPECT_NE(said.find("the_BatchNormalization"), std::string::npos) << said;
    EXPECT_NE(said.find("at least 2"), std::string::npos) << said;
    EXPECT_EQ(said.find('\n'), std::string::npos);
    EXPECT_EQ(refusal(normalised(0), kTask, 2), "");
    // A layout has no batch, and an evaluation does not need one of two.
    EXPECT_TRUE(model_layout("onnx:a.onnx", kTask, normalised(0).bytes()).has_value());
    const auto model =
        build_model("onnx:a.onnx", kTask, 1, Purpose::Training, normalised(0).bytes());
    ASSERT_TRUE(model.has_error());
    EXPECT_EQ(model.error().code, FaultCode::Usage);
}

TEST(LoneValue, NamedNetsAreRefusedAlike) {
    // Four halvings leave one pixel.
    const Task small{{3, 16, 16}, 4};
    const auto model = build_model("resnet18?width=4", small, 1, Purpose::Training);
    ASSERT_TRUE(model.has_error());
    EXPECT_EQ(model.error().code, FaultCode::Usage) << model.error().message;
    EXPECT_TRUE(build_model("resnet18?width=4", small, 2, Purpose::Training).has_value());
}

TEST(LoneValue, OtherNormsOverOneValueAreRefused) {
    const Task task{{3}, 3};
    for (const auto* op : {"InstanceNormalization", "GroupNormalization", "LayerNormalization"}) {
        FileBuilder b;
        b.file.opset = 21;
        b.input("x", {-1, 3}).floats("w", {3, 3}).floats("s", {3}).floats("t", {3});
        b.floats("s1", {1}).floats("t1", {1}).ints("apart", {-1, 3, 1});
        const bool layer = op == std::string("LayerNormalization");
        b.node("Reshape", {"x", "apart"}, {"r"});
        b.node(
            op,
            {"r", layer ? "s1" : "s", layer ? "t1" : "t"},
            {"n"},
            {{"num_groups", std::int64_t{3}}}
        );
        b.node("Flatten", {"n"}, {"f"}).node("MatMul", {"f", "w"}, {"y"}).output("y");
        const auto said = refusal(b, task, 4);
        EXPECT_NE(said.find(std::string("the_") + op), std::string::npos) << op << ": " << said;
        EXPECT_NE(said.find("at least 2"), std::string::npos) << op << ": " << said;
    }
}

}  // namespace
}  // namespace starling::compute::onnx
