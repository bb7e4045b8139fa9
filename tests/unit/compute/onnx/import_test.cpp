// Goal: a file becomes the graph that it describes, ready to train, and a wrong one is refused with
// a line that names the node.
// Method: small files written here, real models if their folder is available, and every kind of
// mistake. onnx_vectors_test.cpp tests what the operators compute.

#include <algorithm>

#include "tests/unit/compute/support/onnx_model.hpp"

namespace starling::compute::onnx {
namespace {

Result<ImportedModel> import(const FileBuilder& builder, const ImportOptions& options = {}) {
    return import_onnx(builder.bytes(), options);
}

/// A classifier of two layers with everything that changes between its purposes.
FileBuilder classifier() {
    FileBuilder b;
    b.input("image", {1, 2, 4, 4}).floats("w1", {3, 2, 3, 3}).floats("scale", {3});
    b.floats("shift", {3}).floats("mean", {3}).floats("variance", {3}, {1.0F, 2.0F, 3.0F});
    b.ints("flat", {1, 12}).floats("w2", {12, 5}).floats("b2", {5});
    b.node(
        "Conv",
        {"image", "w1"},
        {"c"},
        {{"strides", std::vector<std::int64_t>{2, 2}},
         {"pads", std::vector<std::int64_t>{1, 1, 1, 1}}}
    );
    b.node(
        "BatchNormalization",
        {"c", "scale", "shift", "mean", "variance"},
        {"n"},
        {{"momentum", 0.8}}
    );
    b.node("Relu", {"n"}, {"r"})
        .node("Dropout", {"r"}, {"d"})
        .node("Reshape", {"d", "flat"}, {"f"});
    b.node("Gemm", {"f", "w2", "b2"}, {"y"}).output("y");
    return b;
}

TEST(OnnxImport, InitializersBecomeParametersWithTheirValues) {
    const auto model = import(classifier());
    ASSERT_TRUE(model.has_value()) << model.error().message;
    EXPECT_EQ(
        parameter_names(model->graph),
        (std::vector<std::string>{"w1", "scale", "shift", "mean", "variance", "w2", "b2"})
    );
    for (const auto& info : model->graph.parameters()) {
        EXPECT_EQ(info.buffer, info.name == "mean" || info.name == "variance") << info.name;
        EXPECT_EQ(info.variance, info.name == "variance") << info.name;
    }
    const auto store = store_of(model->graph);
    for (const auto& info : store->layout().parameters()) {
        if (info.name != "variance") continue;
        store->read_tensor(info, [](std::span<const float> values) {
            EXPECT_EQ(
                std::vector<float>(values.begin(), values.end()),
                (std::vector<float>{1.0F, 2.0F, 3.0F})
            );
        });
    }
}

TEST(OnnxImport, BatchOfTheCallerReplacesTheFiles) {
    ImportOptions options;
    options.batch = 6;
    const auto model = import(classifier(), options);
    ASSERT_TRUE(model.has_value()) << model.error().message;
    EXPECT_EQ(model->graph.shape(model->inputs[0].id), (Shape{6, 2, 4, 4}));
    EXPECT_EQ(model->graph.shape(model->outputs[0].id), (Shape{6, 5}));
}

TEST(OnnxImport, TrainingUsesTrainingFormsAndTheSameParameters) {
    ImportOptions options;
    options.batch = 4;
    const auto inference = import(classifier(), options);
    options.purpose = Purpose::Training;
    const auto training = import(classifier(), options);
    ASSERT_TRUE(training.has_value()) << training.error().message;
    EXPECT_EQ(parameter_names(training->graph), parameter_names(inference->graph));
    const auto names = operators(training->graph);
    EXPECT_EQ(std::count(names.begin(), names.end(), "Dropout"), 1);
    ASSERT_EQ(training->statistics.size(), 2U);
    EXPECT_EQ(training->statistics[0].buffer, "mean");
    EXPECT_DOUBLE_EQ(training->statistics[0].momentum, 1.0 - 0.8F);
    // 2 x 2 pixels of 4 samples.
    EXPECT_DOUBLE_EQ(training->statistics[1].factor, 16.0 / 15.0);
    EXPECT_TRUE(inference->statistics.empty());
}

TEST(OnnxImport, ModelFromAFileTrains) {
    EngineOptions options;
    options.model = "onnx:net.onnx?loss=cross-entropy";
    options.model_file = std::make_shared<const Bytes>(classifier().bytes());
    options.task = {{2, 4, 4}, 5};
    options.batch = 10;
    options.eval_batch = 10;
    options.optimizer = *OptimizerSpec::parse("sgd?lr=0.1");
    ParameterStore store(*model_layout(options.model, options.task, *options.model_file));
    store.initialize(Rng(1));
    auto engine = Engine::create(options, store);
    ASSERT_TRUE(engine.has_value()) << engine.error().message;
    std::vector<float> values(10 * 32);
    std::vector<std::int32_t> labels;
    for (std::size_t i = 0; i < 10; ++i) {
        labels.push_back(static_cast<std::int32_t>(i % 5));
        for (std::size_t k = 0; k < 32; ++k) values[i * 32 + k] = k % 5 == i % 5 ? 1.0F : 0.0F;
    }
    for (int i = 0; i < 150; ++i) (void)(*engine)->step({values, labels}, 0.1);
    EXPECT_GE((*engine)->evaluate({values, labels})->correct, 9U);
}

TEST(OnnxImport, SoftmaxAtTheEndIsLeftToTheLoss) {
    FileBuilder b;
    b.input("x", {-1, 4}).floats("w", {4, 3}).node("MatMul", {"x", "w"}, {"s"});
    b.node("Softmax", {"s"}, {"p"}).output("p");
    const auto model = build_model("onnx:a.onnx", {{4}, 3}, 2, Purpose::Training, b.bytes());
    ASSERT_TRUE(model.has_value()) << model.error().message;
    const auto names = operators(model->graph);
    EXPECT_EQ(names.back(), "SoftmaxCrossEntropyLoss");
    const auto& loss = model->graph.nodes().back();
    for (const auto& node : model->graph.nodes()) {
        const bool feeds_loss = node.outputs[0] == loss.inputs[0];
        EXPECT_FALSE(feeds_loss && node.op->name == "Softmax");
    }
}

TEST(OnnxImport, ShapeArithmeticIsDoneOnce) {
    // What exporters write for x.view(x.size(0), -1), and a slice that ends at the largest integer.
    FileBuilder b;
    b.input("x", {-1, 3, 4}).ints("zero", {0}).ints("rest", {-1}).ints("one", {1});
    b.ints("end", {std::numeric_limits<std::int64_t>::max()});
    b.node("Shape", {"x"}, {"s"}).node("Gather", {"s", "zero"}, {"n"});
    b.node("Concat", {"n", "rest"}, {"t"}, {{"axis", std::int64_t{0}}});
    b.node("Reshape", {"x", "t"}, {"f"});
    b.node("Slice", {"f", "one", "end", "one"}, {"y"}).output("y");
    ImportOptions options;
    options.batch = 5;
    const auto model = import(b, options);
    ASSERT_TRUE(model.has_value()) << model.error().message;
    EXPECT_EQ(operators(model->graph), (std::vector<std::string>{"Reshape", "Slice"}));
    EXPECT_EQ(model->graph.shape(model->outputs[0].id), (Shape{5, 11}));
}

TEST(OnnxImport, ScalarInitializersAreSettings) {
    FileBuilder b;
    b.input("x", {2, 3}).floats("epsilon", {}, {0.1F}).node("Add", {"x", "epsilon"}, {"y"});
    b.output("y");
    const auto model = import(b);
    ASSERT_TRUE(model.has_value()) << model.error().message;
    EXPECT_TRUE(model->graph.parameters().empty());
}

TEST(OnnxImport, ParametersThatNothingReadsAreLeftOut) {
    FileBuilder b;
    b.input("x", {2, 3}).floats("w", {3, 3}).floats("unused", {100});
    b.node("MatMul", {"x", "w"}, {"y"}).node("Add", {"y", "unused"}, {"z"}).output("y");
    b.file.nodes.pop_back();
    b.node("MatMul", {"x", "w"}, {"dead"});
    const auto model = import(b);
    ASSERT_TRUE(model.has_value()) << model.error().message;
    EXPECT_EQ(parameter_names(model->graph), (std::vector<std::string>{"w"}));
    EXPECT_EQ(model->graph.nodes().size(), 1U);
}

TEST(OnnxImport, RealModelsAreRead) {
    const auto path = shared_data("interop-models/opt-mnist.onnx");
    if (!std::filesystem::exists(path)) {
        GTEST_SKIP() << "no " << path << "; STARLING_SHARED_DATA names another folder";
    }
    auto model = import_onnx(read_file(path), {});
    ASSERT_TRUE(model.has_value()) << model.error().message;
    EXPECT_EQ(model->graph.shape(model->outputs[0].id), (Shape{1, 10}));
    auto relu = import_onnx(read_file(path.parent_path() / "single_relu.onnx"), {});
    ASSERT_TRUE(relu.has_value()) << relu.error().message;
    EXPECT_EQ(operators(relu->graph), (std::vector<std::string>{"Relu"}));
}

// Recognised spellings. Each is compared with the same file read as it stands.

void expect_same_results(const FileBuilder& b, const std::vector<std::string>& expected) {
    ImportOptions options;
    auto recognised = import(b, options);
    ASSERT_TRUE(recognised.has_value()) << recognised.error().message;
    EXPECT_EQ(operators(recognised->graph), expected);
    options.recognise = false;
    auto spelled = import(b, options);
    ASSERT_TRUE(spelled.has_value()) << spelled.error().message;
    Rng rng(7);
    std::vector<std::vector<double>> values;
    for (const auto& input : spelled->inputs) {
        auto& list = values.emplace_back();
        const auto count = element_count(spelled->graph.shape(input.id));
        for (std::int64_t i = 0; i < count; ++i) list.push_back(2.0 * rng.uniform() - 1.0);
    }
    const auto store = store_of(spelled->graph);
    Runnable whole(std::move(*recognised));
    Runnable parts(std::move(*spelled));
    const auto a = whole.run_reference(values, *store);
    const auto c = parts.run_reference(values, *store);
    const auto planned = whole.run_plan(values, *store);
    ASSERT_TRUE(a.has_value() && c.has_value() && planned.has_value());
    ASSERT_EQ((*a)[0].size(), (*c)[0].size());
    for (std::size_t i = 0; i < (*a)[0].size(); ++i) {
        EXPECT_NEAR((*a)[0][i], (*c)[0][i], 1e-6);
        EXPECT_NEAR(static_cast<double>((*planned)[0][i]), (*c)[0][i], 1e-5);
    }
}

TEST(OnnxPatterns, GeluOfErfIsRecognisedInAnyOrder) {
    for (const int order : {0, 1, 2}) {
        SCOPED_TRACE(order);
        FileBuilder b;
        b.input("x", {3, 5}).constant("r", {}, {1.4142135F}).constant("one", {}, {1.0F});
        b.constant("half", {}, {0.5F}).constant("s", {}, {0.70710678F});
        b.node(order == 1 ? "Mul" : "Div", {"x", order == 1 ? "s" : "r"}, {"u"});
        b.node("Erf", {"u"}, {"e"}).node("Add", {"e", "one"}, {"a"});
        if (order == 0) b.node("Mul", {"x", "a"}, {"m"}).node("Mul", {"m", "half"}, {"y"});
        if (order == 1) b.node("Mul", {"half", "x"}, {"m"}).node("Mul", {"m", "a"}, {"y"});
        if (order == 2) b.node("Mul", {"a", "half"}, {"m"}).node("Mul", {"x", "m"}, {"y"});
        b.output("y");
        expect_same_results(b, {"Gelu"});
    }
}

TEST(OnnxPatterns, WhatOnlyLooksLikeGeluStays) {
    FileBuilder b;
    b.input("x", {3, 5}).constant("r", {}, {1.5F}).constant("one", {}, {1.0F});
    b.constant("half", {}, {0.5F}).node("Div", {"x", "r"}, {"u"}).node("Erf", {"u"}, {"e"});
    b.node("Add", {"e", "one"}, {"a"}).node("Mul", {"x", "a"}, {"m"});
    b.node("Mul", {"m", "half"}, {"y"}).output("y");
    const auto model = import(b);
    ASSERT_TRUE(model.has_value());
    const auto names = operators(model->graph);
    EXPECT_EQ(std::count(names.begin(), names.end(), "Erf"), 1);
}

TEST(OnnxPatterns, LayerNormalizationIsRecognised) {
    FileBuilder b;
    const std::vector<std::int64_t> last{-1};
    b.input("x", {4, 6}).constant("two", {}, {2.0F}).constant("eps", {}, {1e-3F});
    b.floats("w", {6}).floats("b", {6});
    b.node("ReduceMean", {"x"}, {"m"}, {{"axes", last}}).node("Sub", {"x", "m"}, {"d"});
    b.node("Pow", {"d", "two"}, {"p"}).node("ReduceMean", {"p"}, {"v"}, {{"axes", last}});
    b.node("Add", {"v", "eps"}, {"e"}).node("Sqrt", {"e"}, {"s"}).node("Div", {"d", "s"}, {"n"});
    b.node("Mul", {"n", "w"}, {"g"}).node("Add", {"g", "b"}, {"y"}).output("y");
    expect_same_results(b, {"LayerNormalization"});
}

TEST(OnnxPatterns, GroupNormalizationLosesItsEmptyScales) {
    FileBuilder b;
    b.input("x", {2, 6, 2, 2}).ints("groups", {0, 3, -1}).ints("back", {2, 6, 2, 2});
    b.floats("ones", {3}, {1.0F, 1.0F, 1.0F}).floats("zeros", {3}, {0.0F, 0.0F, 0.0F});
    b.floats("w", {6, 1, 1}).floats("b", {6, 1, 1});
    b.node("Reshape", {"x", "groups"}, {"r"});
    b.node("InstanceNormalization", {"r", "ones", "zeros"}, {"n"});
    b.node("Reshape", {"n", "back"}, {"u"}).node("Mul", {"u", "w"}, {"m"});
    b.node("Add", {"m", "b"}, {"y"}).output("y");
    expect_same_results(b, {"Reshape", "LayerNormalization", "Reshape", "Mul", "Add"});
}

// Mistakes.

void expect_refused(const FileBuilder& b, FaultCode code, const std::string& words) {
    const auto model = import(b);
    ASSERT_TRUE(model.has_error());
    EXPECT_EQ(model.error().code, code) << model.error().message;
    EXPECT_NE(model.error().message.find(words), std::string::npos) << model.error().message;
    EXPECT_EQ(model.error().message.find('\n'), std::string::npos);
}

TEST(OnnxFaults, UnknownOperatorIsNamed) {
    FileBuilder b;
    b.input("x", {2}).node("Frobnicate", {"x"}, {"y"}).output("y");
    expect_refused(b, FaultCode::Unsupported, "node 'the_Frobnicate' (Frobnicate)");
}

TEST(OnnxFaults, OurOwnOperatorsAreNoOperatorsOfFiles) {
    FileBuilder b;
    b.input("x", {2, 3}).node("ReluGrad", {"x", "x"}, {"y"}).output("y");
    expect_refused(b, FaultCode::Unsupported, "(ReluGrad)");
}

TEST(OnnxFaults, MissingInitializerIsNamed) {
    FileBuilder b;
    b.input("x", {2, 3}).node("MatMul", {"x", "w"}, {"y"}).output("y");
    expect_refused(
        b, FaultCode::BadFormat, "node 'the_MatMul' (MatMul): its operand 'w' is defined"
    );
}

TEST(OnnxFaults, CycleIsNamed) {
    FileBuilder b;
    b.input("x", {2, 3}).node("Add", {"x", "b"}, {"a"}).node("Relu", {"a"}, {"b"}).output("b");
    expect_refused(b, FaultCode::BadFormat, "cyclic");
}

TEST(OnnxFaults, OperandsThatDoNotFitAreNamed) {
    FileBuilder b;
    b.input("x", {2, 3}).floats("w", {4, 5}).node("MatMul", {"x", "w"}, {"y"}).output("y");
    expect_refused(b, FaultCode::BadValue, "node 'the_MatMul' (MatMul)");
}

TEST(OnnxFaults, WrongTypesAreNamed) {
    FileBuilder b;
    b.input("x", {2, 3}).floats("i", {2}).node("Gather", {"x", "i"}, {"y"}).output("y");
    expect_refused(b, FaultCode::BadValue, "(Gather): its indices");
    FileBuilder ints;
    ints.input("x", {2, 3}, DataType::Int64).node("Relu", {"x"}, {"y"}).output("y");
    expect_refused(ints, FaultCode::Unsupported, "(Relu)");
    FileBuilder text;
    text.input("x", {2, 3}, DataType::String).node("Relu", {"x"}, {"y"}).output("y");
    expect_refused(text, FaultCode::Unsupported, "input 'x'");
}

TEST(OnnxFaults, DynamicShapesAreNamed) {
    FileBuilder b;
    b.input("x", {1, -1}).node("Relu", {"x"}, {"y"}).output("y");
    expect_refused(b, FaultCode::Unsupported, "input 'x': dimension 1 has no fixed size");
    FileBuilder shape;
    shape.input("x", {2, 3}).input("s", {2}, DataType::Int64);
    shape.node("Reshape", {"x", "s"}, {"y"}).output("y");
    expect_refused(shape, FaultCode::Unsupported, "(Reshape): operand 1 must be fixed");
}

TEST(OnnxFaults, OpsetsOutsideTheRangeAreRefused) {
    for (const std::int64_t opset : {-1, 0, 23, 1 << 30}) {
        FileBuilder b;
        b.file.opset = opset;
        b.input("x", {2}).node("Relu", {"x"}, {"y"}).output("y");
        expect_refused(b, FaultCode::BadVersion, "opset");
    }
}

TEST(OnnxFaults, NamesWithLineBreaksStayOneLine) {
    FileBuilder b;
    b.input("x", {2}).node("Evil\nOp\x1b[2J", {"x"}, {"y"}).output("y");
    expect_refused(b, FaultCode::Unsupported, "Evil?Op?[2J");
}

TEST(OnnxFaults, HugeShapesAllocateNothing) {
    FileBuilder b;
    b.input("x", {2}).floats("w", {2}).node("Add", {"x", "w"}, {"y"}).output("y");
    for (const Shape& shape :
         {Shape{std::int64_t{1} << 60},
          Shape{std::int64_t{1} << 31, std::int64_t{1} << 31, 4},
          Shape{-1},
          Shape{3},
          Shape{std::numeric_limits<std::int64_t>::max(), 0}}) {
        auto wrong = b;
        wrong.file.initializers[0].shape = shape;
        EXPECT_TRUE(import(wrong).has_error()) << to_string(shape);
        wrong = b;
        wrong.file.inputs[0].shape = shape;
        EXPECT_TRUE(import(wrong).has_error()) << to_string(shape);
    }
    FileBuilder filled;
    filled.ints("s", {1 << 20, 1 << 20}).node("ConstantOfShape", {"s"}, {"y"}).output("y");
    expect_refused(filled, FaultCode::Oversized, "(ConstantOfShape)");
}

TEST(OnnxFaults, ManyLargeConstantsTogetherAreRefused) {
    FileBuilder b;
    b.ints("s", {1 << 20}).input("x", {1 << 20});
    std::string sum = "x";
    for (int i = 0; i < 40; ++i) {
        const auto made = "c" + std::to_string(i);
        b.node("ConstantOfShape", {"s"}, {made}).node("Add", {sum, made}, {made + "s"});
        sum = made + "s";
    }
    b.output(sum);
    expect_refused(b, FaultCode::Oversized, "together");
}

/// One field of a message: its number, a length, the content.
std::string part(int field, const std::string& content) {
    std::string bytes(1, static_cast<char>(field << 3 | 2));
    auto length = content.size();
    for (; length >= 0x80; length >>= 7U) bytes += static_cast<char>(length | 0x80U);
    return bytes + static_cast<char>(length) + content;
}

/// A model whose one node has one attribute that holds `content` in this field.
std::string model_around(int field, const std::string& content) {
    return part(7, part(1, part(5, part(field, content))));
}

TEST(OnnxFaults, EmptyMessagesByTheMillionAreRefusedWhereverTheyNest) {
    // Two bytes in the file, some hundred in memory: an empty node, tensor or shape.
    std::string empty;
    for (int i = 0; i < (1 << 20) + 1; ++i) empty += std::string("\x0a\x00", 2);
    const std::string graph = model_around(6, empty);
    const std::string type = model_around(14, part(1, part(2, empty)));
    for (const auto& bytes : {graph, type}) {
        const auto model = import_onnx(as_byte_view(bytes), {});
        ASSERT_TRUE(model.has_error());
        EXPECT_EQ(model.error().code, FaultCode::Oversized) << model.error().message;
    }
}

TEST(OnnxFaults, GraphsInGraphsWithoutEndAreRefused) {
    std::string graph;
    for (int i = 0; i < 2000; ++i) graph = part(1, part(5, part(6, graph)));
    const auto bytes = part(7, graph);
    EXPECT_TRUE(import_onnx(as_byte_view(bytes), {}).has_error());
}

TEST(OnnxFaults, NameDefinedTwiceIsRefused) {
    FileBuilder b;
    b.input("x", {2}).node("Relu", {"x"}, {"y"}).node("Neg", {"x"}, {"y"}).output("y");
    expect_refused(b, FaultCode::BadFormat, "defined twice");
    FileBuilder twice;
    twice.input("x", {2}).floats("w", {2}).floats("w", {2}).node("Add", {"x", "w"}, {"y"});
    twice.output("y");
    expect_refused(twice, FaultCode::BadFormat, "initializer 'w'");
}

TEST(OnnxFaults, EveryTruncationAndManyChangesAreSurvived) {
    const auto good = classifier().bytes();
    for (std::size_t length = 0; length < good.size(); ++length) {
        const auto part = ByteView(good).first(length);
        (void)import_onnx(part, {});
    }
    EXPECT_TRUE(import_onnx(ByteView(good).first(good.size() / 2), {}).has_error());
    Rng rng(11);
    for (int i = 0; i < 3000; ++i) {
        auto changed = good;
        const auto count = 1 + rng.below(4);
        for (std::uint64_t k = 0; k < count; ++k) {
            changed[rng.below(changed.size())] = static_cast<std::byte>(rng.below(256));
        }
        (void)import_onnx(changed, {});
    }
}

}  // namespace
}  // namespace starling::compute::onnx
