// Goal: the compiled step of each named net gives the reference's loss and gradients, and the named
// nets have the parameters that their PyTorch twins have.
// Method: whole nets on a small batch, plan against reference; tables of names and counts.

#include "compute/graph/passes.hpp"
#include "compute/models/models.hpp"
#include "tests/unit/compute/support/graph_fixture.hpp"
#include "tests/unit/compute/support/synthetic.hpp"

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
    test.log_probabilities = model->answers;
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

TEST(Model, UnpaddedCnnStepMatchesTheReference) {
    const auto* spec = "cnn?channels=3,4&hidden=9,6&kernel=3&pad=0";
    expect_plan_matches(model_graph(spec, {{2, 12, 11}, 5}, 4), 5, 1);
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

TEST(Model, LeNetsShapeHasLeNetsParameters) {
    // Counts of torch.nn.Conv2d(c, 6, 5), Conv2d(6, 16, 5), Linear(., 120), (., 84), (., 10).
    const auto* spec = "cnn?channels=6,16&hidden=120,84&pad=0";
    const auto grey = model_layout(spec, kFashion);
    ASSERT_TRUE(grey.has_value()) << grey.error().message;
    EXPECT_EQ(grey->elements(), 44426U);
    EXPECT_EQ(grey->parameters()[4].shape, (Shape{120, 256}));
    EXPECT_EQ(model_layout(spec, {{3, 32, 32}, 10})->elements(), 62006U);
}

TEST(Model, ResidualNetStepMatchesTheReference) {
    expect_plan_matches(model_graph("resnet20?width=2", {{2, 8, 8}, 5}, 3), 5, 2, 1e-3);
}

TEST(Model, Resnet18StepMatchesTheReference) {
    expect_plan_matches(model_graph("resnet18?width=1", {{3, 33, 32}, 5}, 2), 5, 1, 1e-3);
}

TEST(Model, GptStepMatchesTheReference) {
    for (const auto* spec :
         {"gpt?layers=2&heads=2&dim=8",
          "gpt?layers=1&heads=1&dim=4&tied=0",
          "gpt?layers=2&heads=2&dim=8&bias=0&context=5"}) {
        SCOPED_TRACE(spec);
        expect_plan_matches(model_graph(spec, {{5}, 11}, 3), 5, 2, 1e-4);
    }
}

TEST(Model, ReferenceGradientsOfGptAreTrue) {
    expect_reference_gradients(model_graph("gpt?layers=1&heads=2&dim=4", {{3}, 5}, 2), 8);
}

TEST(Model, AudioStepMatchesTheReference) {
    for (const auto* spec :
         {"audio?channels=3,4,5&hidden=6&dropout=0",
          "audio?channels=4,5,6&hidden=6&dropout=0&blocks=ds"}) {
        SCOPED_TRACE(spec);
        expect_plan_matches(model_graph(spec, {{1, 9, 13}, 4}, 5), 5, 1, 1e-3);
    }
}

TEST(Model, AudioAveragesTimeAndKeepsBands) {
    const auto names = [](const char* spec) {
        std::vector<std::string> listed;
        const auto made = model_layout(spec, {{1, 40, 99}, 10});
        for (const auto& info : made->parameters()) {
            if (!info.buffer && info.shape.size() > 1) {
                listed.push_back(info.name + to_string(info.shape));
            }
        }
        return listed;
    };
    EXPECT_EQ(
        names("audio?channels=8,16&hidden=12"),
        (std::vector<std::string>{
            "conv1.weight[8, 1, 3, 3]",
            "conv2.weight[16, 8, 3, 3]",
            "fc1.weight[12, 160]",
            "fc2.weight[10, 12]"})
    );
    EXPECT_EQ(
        names("audio?channels=8,16&hidden=12&blocks=ds"),
        (std::vector<std::string>{
            "conv1.weight[8, 1, 3, 3]",
            "ds2.depthwise.weight[8, 1, 3, 3]",
            "ds2.pointwise.weight[16, 8, 1, 1]",
            "fc1.weight[12, 160]",
            "fc2.weight[10, 12]"})
    );
    // More blocks than a spectrogram can be halved.
    EXPECT_TRUE(model_layout("audio?channels=2,2,2,2,2,2&hidden=4", {{1, 5, 9}, 3}).has_value());
    EXPECT_TRUE(model_layout("audio", {{3, 40, 99}, 10}).has_error());
    EXPECT_TRUE(model_layout("audio", {{8000}, 10}).has_error());
}

TEST(Model, TabularStepMatchesTheReference) {
    for (const auto* spec :
         {"tabular?categories=3,4&embed=2&hidden=8&norm=1", "tabular?categories=3,4&hidden=8"}) {
        SCOPED_TRACE(spec);
        expect_plan_matches(model_graph(spec, {{5}, 3}, 6), 5, 1, 1e-3);
        expect_plan_matches(model_graph(spec, {{5}, 2}, 6), 5, 1, 1e-3);
    }
}

TEST(Model, TabularHasOneScoreForTwoClassesAndWidthsByTheCodes) {
    const auto layout = [](const char* spec, const Task& task) {
        std::vector<std::string> listed;
        const auto made = model_layout(spec, task);
        for (const auto& info : made->parameters()) {
            listed.push_back(info.name + to_string(info.shape));
        }
        return listed;
    };
    Task task{{4}, 2};
    task.categories = {4, 100, 5};
    EXPECT_EQ(
        layout("tabular?hidden=8", task),
        (std::vector<std::string>{
            "embeds.0.weight[4, 2]",
            "embeds.1.weight[100, 32]",
            "embeds.2.weight[5, 3]",
            "fc1.weight[8, 38]",
            "fc1.bias[8]",
            "fc2.weight[1, 8]",
            "fc2.bias[1]"})
    );
    task.classes = 3;
    EXPECT_EQ(layout("tabular?hidden=8&embed=5", task)[5], "fc2.weight[3, 8]");
    EXPECT_EQ(layout("tabular?hidden=8&embed=5", task)[2], "embeds.2.weight[5, 5]");
    Task wide{{200}, 4};
    wide.categories.assign(150, 3);
    EXPECT_EQ(layout("tabular?hidden=8", wide)[150], "fc1.weight[8, 350]");
}

TEST(Model, LargeNetsAreCountedAsInPyTorch) {
    const Task small{{3, 32, 32}, 10};
    EXPECT_EQ(model_layout("resnet20", small)->elements() - 2 * 784U, 272474U);
    const Task large{{3, 224, 224}, 1000};
    const auto resnet18 = model_layout("resnet18", large);
    ASSERT_TRUE(resnet18.has_value());
    EXPECT_EQ(resnet18->elements() - 2 * 4800U, 11689512U);
    EXPECT_TRUE(resnet18->chunks().back().buffer);
    // nanoGPT's count for this size: 12 D^2 + 13 D per layer, embeddings and the last norm.
    const auto gpt = model_layout("gpt", {{256}, 65});
    EXPECT_EQ(gpt->elements(), 6U * (12 * 384 * 384 + 13 * 384) + (65 + 256) * 384 + 2 * 384);
    // Without biases: 12 D^2 + 2 D, as nanoGPT counts its configuration for a CPU.
    const auto plain = model_layout("gpt?layers=4&heads=4&dim=128&bias=0", {{64}, 65});
    EXPECT_EQ(plain->elements(), 4U * (12 * 128 * 128 + 2 * 128) + (65 + 64) * 128 + 128);
}

TEST(Model, BatchNormNetsLearnAndKeepRunningStatistics) {
    EngineOptions options;
    options.model = "resnet20?width=4";
    options.task = {{1, 8, 8}, 4};
    options.batch = 32;
    options.eval_batch = 32;
    ParameterStore store(*model_layout(options.model, options.task));
    store.initialize(Rng(1));
    auto engine = Engine::create(options, store);
    ASSERT_TRUE(engine.has_value()) << engine.error().message;
    for (std::uint64_t step = 0; step < 60; ++step) {
        const auto batch = synthetic_samples(options.task, 32, step);
        EXPECT_FALSE((*engine)->step({batch.values, batch.labels}, 0.05)->interrupted);
    }
    const auto test = synthetic_samples(options.task, 32, 999);
    EXPECT_GT((*engine)->evaluate({test.values, test.labels})->accuracy(), 0.9);
    for (const auto& info : store.layout().parameters()) {
        if (info.name != "bn1.running_var") continue;
        store.read_tensor(info, [](std::span<const float> variance) {
            for (const float v : variance) {
                EXPECT_NE(v, 1.0F);
                EXPECT_GT(v, 0.0F);
            }
        });
    }
}

TEST(Model, GptLearnsToCopyTheTokenBefore) {
    EngineOptions options;
    options.model = "gpt?layers=1&heads=2&dim=16&dropout=0.1";
    options.task = {{8}, 6};
    options.batch = 16;
    options.eval_batch = 16;
    options.optimizer = *OptimizerSpec::parse("adamw?lr=0.01&clip=1");
    ParameterStore store(*model_layout(options.model, options.task));
    store.initialize(Rng(1));
    auto engine = Engine::create(options, store);
    ASSERT_TRUE(engine.has_value()) << engine.error().message;
    EvalResult result;
    for (std::uint64_t step = 0; step <= 200; ++step) {
        Rng rng(step);
        std::vector<float> tokens;
        std::vector<std::int32_t> labels;
        for (int i = 0; i < 16 * 8; ++i) {
            labels.push_back(i % 8 == 0 ? 0 : static_cast<std::int32_t>(tokens.back()));
            tokens.push_back(static_cast<float>(rng.below(6)));
        }
        if (step == 200) {
            result = *(*engine)->evaluate({tokens, labels});
        } else {
            (void)(*engine)->step({tokens, labels}, 0.01);
        }
    }
    EXPECT_EQ(result.samples, 128U);
    EXPECT_GT(result.accuracy(), 0.95);
}

TEST(Model, BadSpecsGetOneLineOfUsage) {
    const auto message = [](std::string_view spec, const Task& task) {
        const auto layout = model_layout(spec, task);
        EXPECT_TRUE(layout.has_error()) << spec;
        if (layout.has_value()) return std::string();
        EXPECT_EQ(layout.error().message.find('\n'), std::string::npos);
        return layout.error().message;
    };
    EXPECT_EQ(
        message("resnet", kFashion),
        "'resnet': no such model; there are mlp, cnn, resnet20, resnet18, detector, gpt, audio, "
        "tabular, "
        "onnx:FILE"
    );
    EXPECT_EQ(message("mlp?width=3", kFashion), "'mlp' has no option 'width'; it takes hidden");
    for (const auto* list : {"", "0", "5,", "5,,6", "5;6", "-1", "99999999999999999999", "1e3"}) {
        const auto text = message(std::string("mlp?hidden=") + list, kFashion);
        EXPECT_NE(text.find("give up to 32 whole numbers"), std::string::npos) << text;
    }
    EXPECT_EQ(model_layout("mlp?hidden=0", kFashion).error().code, FaultCode::Usage);
    EXPECT_NE(message("gpt?dim=10&heads=3", {{8}, 9}).find("dim=10"), std::string::npos);
    EXPECT_NE(message("gpt?context=9", {{8}, 9}).find("windows of 8"), std::string::npos);
    EXPECT_NE(message("resnet18?stem=x", kFashion).find("stem=x"), std::string::npos);
    EXPECT_NE(message("audio?blocks=x", kFashion).find("conv or ds"), std::string::npos);
    EXPECT_NE(message("audio?mels=40", kFashion).find("28 bands"), std::string::npos);
    EXPECT_NE(message("tabular?categories=2,2,2", {{2}, 2}).find("columns"), std::string::npos);
    EXPECT_NE(message("cnn", {{1, 1, 1}, 10}).find("does not fit"), std::string::npos);
    (void)message("mlp", {{1, 28, 28}, 1});
    (void)message("mlp", {{}, 10});
    (void)message("mlp", {{1 << 20, 1 << 20, 1 << 20}, 10});
    EXPECT_EQ(
        message("mlp?hidden=65536,65536", kFashion), "the model has more than 1e9 parameters"
    );
    EXPECT_NE(model_catalogue().find("cnn?channels=32,64"), std::string::npos);
}

TEST(Model, ATaskThatItCannotTakeIsRefusedWithThoseThatCan) {
    const auto message = [](std::string_view spec, const Task& task) {
        const auto model = build_model(spec, task, 4);
        EXPECT_TRUE(model.has_error()) << spec;
        if (model.has_value()) return std::string();
        EXPECT_EQ(model.error().code, FaultCode::BadValue);
        return model.error().message;
    };
    EXPECT_EQ(
        message("gpt", kFashion),
        "the data have samples of shape [1, 28, 28] with one of 10 classes, and gpt takes texts: "
        "samples of shape T with a class for each token; try mlp, cnn, resnet20, resnet18 or "
        "onnx:FILE"
    );
    EXPECT_EQ(
        message("cnn", {{784}, 3, 0, LabelKind::Numbers}),
        "the data have samples of shape [784] with 3 numbers each, and cnn takes samples of shape "
        "C, H, W with labels for the whole sample; try mlp, tabular or onnx:FILE"
    );
    for (const auto* spec : {"mlp", "tabular"}) {
        const auto text = message(spec, {{8}, 9, 8});
        EXPECT_NE(text.find("8 labels each"), std::string::npos) << text;
        EXPECT_TRUE(text.ends_with("try gpt or onnx:FILE")) << text;
    }
    for (const auto kind : {LabelKind::Classes, LabelKind::Numbers}) {
        EXPECT_TRUE(message("gpt", {{8}, 9, 0, kind}).ends_with("mlp, tabular or onnx:FILE"));
    }
}

TEST(Model, AllButGptTakeEveryKindOfLabels) {
    for (const auto kind : {LabelKind::Class, LabelKind::Classes, LabelKind::Numbers}) {
        const Task images{{3, 32, 32}, 3, kind == LabelKind::Class ? 1 : 0, kind};
        const Task row{{12}, 3, images.labels, kind};
        for (const auto* spec : {"mlp", "cnn", "resnet20", "resnet18?width=8", "tabular"}) {
            const auto& task = spec == std::string_view("tabular") ? row : images;
            const auto model = build_model(spec, task, 4);
            ASSERT_TRUE(model.has_value()) << spec << ": " << model.error().message;
            const bool of_class = kind == LabelKind::Class;
            EXPECT_EQ(
                model->graph.value(model->labels).type,
                of_class ? (TensorType{{4}, ElementType::I32})
                         : (TensorType{{4, 3}, ElementType::F32})
            );
            EXPECT_EQ(model->graph.shape(model->scores), (Shape{4, 3}));
            EXPECT_EQ(model->answers == model->scores, !of_class);
        }
    }
}

Task boxes_in(Shape picture) {
    Task task{std::move(picture), 3, 0, LabelKind::Boxes};
    task.boxes = 8;
    return task;
}

TEST(Model, OnlyTheDetectorTakesBoxesAndItTakesNothingElse) {
    const auto task = boxes_in({3, 48, 64});
    for (const auto& [spec, cells] :
         {std::pair("detector?width=8", 192), std::pair("detector?width=8&stride=16", 12)}) {
        const auto model = build_model(spec, task, 2);
        ASSERT_TRUE(model.has_value()) << model.error().message;
        const auto& scores = model->graph.shape(model->scores);
        EXPECT_EQ(scores[1], 3 + 4);
        EXPECT_EQ(scores[2] * scores[3], cells);
        EXPECT_EQ(model->answers, model->scores);
        EXPECT_EQ(
            model->graph.value(model->labels).type, (TensorType{{2, 8, 5}, ElementType::F32})
        );
    }
    for (const auto* spec : {"mlp", "cnn", "resnet18", "gpt", "tabular"}) {
        const auto model = build_model(spec, task, 2);
        ASSERT_TRUE(model.has_error()) << spec;
        EXPECT_TRUE(model.error().message.ends_with("; try detector")) << model.error().message;
    }
    const auto refused = build_model("detector", kFashion, 2);
    ASSERT_TRUE(refused.has_error());
    EXPECT_NE(refused.error().message.find("takes pictures with boxes"), std::string::npos);
    EXPECT_NE(
        build_model("onnx:a", task, 2).error().message.find("try detector"), std::string::npos
    );
}

TEST(Model, WrongOptionsOfADetectorAreToldWithWhatToWrite) {
    const auto message = [](std::string_view spec, Shape picture) {
        const auto model = build_model(spec, boxes_in(std::move(picture)), 2);
        EXPECT_TRUE(model.has_error()) << spec;
        return model.has_error() ? model.error().message : std::string();
    };
    EXPECT_EQ(
        message("detector", {3, 240, 250}),
        "'detector': pictures are fed 250 wide and 240 high, and both sides must be multiples of "
        "16; give the model size=320x240 (width x height), or the data set size=240x320 (height x "
        "width)"
    );
    for (const auto* size : {"320", "320x", "x240", "320x241", "320x240x3", "0x16", "2048x16"}) {
        const auto text = message(std::string("detector?size=") + size, {3, 48, 64});
        EXPECT_NE(text.find("multiples of 16 up to 1024"), std::string::npos) << text;
    }
    EXPECT_NE(message("detector?stride=5", {3, 48, 64}).find("4, 8 or 16"), std::string::npos);
    const auto sides = detector_size(*Spec::parse("detector?size=320x240"));
    ASSERT_TRUE(sides.has_value() && sides->has_value());
    EXPECT_EQ((*sides)->width, 320);
    EXPECT_EQ((*sides)->height, 240);
    EXPECT_FALSE(detector_size(*Spec::parse("detector"))->has_value());
}

}  // namespace
}  // namespace starling::compute
