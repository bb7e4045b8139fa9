// Goal: the compiled step of each named net gives the reference's loss and gradients, and the named
// nets have the parameters that their PyTorch twins have.
// Method: whole nets on a small batch, plan against reference; tables of names and counts.

#include "compute/models/models.hpp"
#include "compute/passes.hpp"
#include "tests/unit/compute/graph_fixture.hpp"

namespace starling::compute {
namespace {

const Task kFashion{{1, 28, 28}, 10};

TestGraph model_graph(std::string_view spec, const Task& task, std::int64_t batch) {
    auto model = build_model(spec, task, batch);
    EXPECT_TRUE(model.has_value());
    TestGraph test;
    test.graph = std::move(model->graph);
    test.labels = model->labels;
    test.loss = model->loss;
    test.log_probabilities = model->log_probabilities;
    test.gradients = *differentiate(test.graph, test.loss);
    return test;
}

TEST(Model, CnnStepMatchesTheReference) {
    expect_plan_matches(model_graph("cnn", kFashion, 3), 5, 2);
}

TEST(Model, OddCnnStepMatchesTheReference) {
    const Task task{{3, 13, 11}, 7};
    expect_plan_matches(model_graph("cnn?channels=5,17&hidden=9&kernel=4", task, 5), 6, 1);
}

TEST(Model, MlpStepMatchesTheReference) {
    expect_plan_matches(model_graph("mlp", kFashion, 7), 7, 2);
}

TEST(Model, ReferenceGradientsOfTheWholeNetAreTrue) {
    const Task task{{2, 8, 8}, 4};
    expect_reference_gradients(model_graph("cnn?channels=3&hidden=5&kernel=3", task, 2), 8);
}

TEST(Model, PassesKeepEveryGradientAndFuseEveryRelu) {
    auto test = model_graph("cnn?channels=3,4&hidden=5&kernel=3", {{1, 8, 8}, 4}, 2);
    TestRun before(test, 9);
    (void)before.reference_loss(test);
    auto optimized = test;
    std::vector<ValueId> wanted{test.loss};
    wanted.insert(wanted.end(), test.gradients.begin(), test.gradients.end());
    optimize(optimized.graph, wanted);
    for (const auto& node : optimized.graph.nodes()) {
        EXPECT_FALSE(node.name.starts_with("Relu_")) << node.name;
    }
    EXPECT_LT(optimized.graph.nodes().size(), test.graph.nodes().size());
    TestRun after(optimized, 9);
    (void)after.reference_loss(optimized);
    for (const auto id : wanted) {
        EXPECT_EQ(before.tensors.at(id).values, after.tensors.at(id).values);
    }
}

TEST(Model, InputImageGetsNoGradient) {
    const auto test = model_graph("cnn", kFashion, 2);
    int count = 0;
    for (const auto& node : test.graph.nodes()) count += node.name.starts_with("ConvGradInput");
    EXPECT_EQ(count, 1);
}

TEST(Model, ParametersAreNamedAndCountedAsInPyTorch) {
    const auto cnn = model_layout("cnn", kFashion);
    ASSERT_TRUE(cnn.has_value());
    EXPECT_EQ(cnn->elements(), 454922U);
    std::vector<std::string> names;
    for (const auto& info : cnn->parameters()) names.push_back(info.name);
    const std::vector<std::string> expected{
        "conv1.weight",
        "conv1.bias",
        "conv2.weight",
        "conv2.bias",
        "fc1.weight",
        "fc1.bias",
        "fc2.weight",
        "fc2.bias"};
    EXPECT_EQ(names, expected);
    EXPECT_EQ(cnn->parameters()[2].shape, (Shape{64, 32, 5, 5}));
    EXPECT_EQ(cnn->parameters()[3].fan_in, 800);
    EXPECT_EQ(model_layout("mlp?hidden=512,256", kFashion)->elements(), 535818U);
}

TEST(Model, BadSpecsGetOneLineOfUsage) {
    const auto message = [](std::string_view spec, const Task& task) {
        const auto layout = model_layout(spec, task);
        EXPECT_TRUE(layout.has_error()) << spec;
        if (layout.has_value()) return std::string();
        EXPECT_EQ(layout.error().message.find('\n'), std::string::npos);
        return layout.error().message;
    };
    EXPECT_EQ(message("resnet", kFashion), "'resnet': no such model; there are mlp, cnn");
    EXPECT_EQ(message("mlp?width=3", kFashion), "'mlp' has no option 'width'; it takes hidden");
    for (const auto* list : {"", "0", "5,", "5,,6", "5;6", "-1", "99999999999999999999", "1e3"}) {
        const auto text = message(std::string("mlp?hidden=") + list, kFashion);
        EXPECT_NE(text.find("give up to 32 whole numbers"), std::string::npos) << text;
    }
    EXPECT_EQ(model_layout("mlp?hidden=0", kFashion).error().code, FaultCode::Usage);
    EXPECT_NE(message("cnn", {{784}, 10}).find("try the mlp model"), std::string::npos);
    EXPECT_NE(message("cnn", {{1, 1, 1}, 10}).find("does not fit"), std::string::npos);
    (void)message("mlp", {{1, 28, 28}, 1});
    (void)message("mlp", {{}, 10});
    (void)message("mlp", {{1 << 20, 1 << 20, 1 << 20}, 10});
    EXPECT_EQ(
        message("mlp?hidden=65536,65536", kFashion), "the model has more than 1e9 parameters"
    );
    EXPECT_NE(model_catalogue().find("cnn?channels=32,64"), std::string::npos);
}

}  // namespace
}  // namespace starling::compute
