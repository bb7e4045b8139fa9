// Goal: what is a weight in the exporter's eyes trains, each part by itself, and what is none stays.
// Method: small nets in the spellings of exporters that merge equal tensors, write weights as Constant
// nodes, or put them behind other nodes.

#include "compute/onnx/parameters.hpp"

#include <algorithm>
#include <limits>
#include <set>

#include "tests/unit/compute/support/onnx_model.hpp"

namespace starling::compute::onnx {
namespace {

using Names = std::vector<std::string>;
using List = std::vector<std::int64_t>;

ImportedModel imported(const FileBuilder& b, Purpose purpose = Purpose::Training) {
    ImportOptions options;
    options.batch = 4;
    options.purpose = purpose;
    options.settle = true;
    auto model = import_onnx(b.bytes(), options);
    EXPECT_TRUE(model.has_value()) << model.error().message;
    return model.has_value() ? std::move(*model) : ImportedModel{};
}

const ParameterInfo* parameter(const Graph& graph, const std::string& name) {
    for (const auto& info : graph.parameters()) {
        if (info.name == name) return &info;
    }
    return nullptr;
}

/// The parameters that the n-th node with this operator reads.
Names read_by(const Graph& graph, std::string_view op, std::size_t n = 0) {
    Names names;
    for (const auto& node : graph.nodes()) {
        if (node.op->name != op || n-- != 0) continue;
        for (const auto id : node.inputs) {
            const auto& value = graph.value(id);
            if (value.kind != ValueKind::Parameter) continue;
            names.push_back(graph.parameters()[value.parameter].name);
        }
        break;
    }
    return names;
}

FileBuilder& norm(FileBuilder& b, const Names& operands, const std::string& result) {
    return b.node("BatchNormalization", operands, {result});
}

TEST(SharedTensor, ScaleAndVarianceTrainApart) {
    // A fresh net from an exporter that merges equal tensors.
    FileBuilder b;
    b.input("x", {-1, 3}).floats("one", {3}, {1, 1, 1}).floats("zero", {3}, {0, 0, 0});
    norm(b, {"x", "one", "zero", "zero", "one"}, "y").output("y");
    for (const auto purpose : {Purpose::Training, Purpose::Inference}) {
        const auto model = imported(b, purpose);
        const auto operands = read_by(model.graph, "BatchNormalization");
        ASSERT_EQ(operands.size(), 4U);
        EXPECT_EQ(std::set<std::string>(operands.begin(), operands.end()).size(), 4U);
        EXPECT_FALSE(parameter(model.graph, operands[0])->buffer);
        EXPECT_FALSE(parameter(model.graph, operands[1])->buffer);
        EXPECT_TRUE(parameter(model.graph, operands[2])->buffer);
        EXPECT_TRUE(parameter(model.graph, operands[3])->variance);
        EXPECT_FALSE(parameter(model.graph, operands[2])->variance);
        EXPECT_EQ(parameter_names(model.graph), parameter_names(imported(b).graph));
    }
}

TEST(SharedTensor, TrainedScaleThatIsAlsoTheVarianceIsCopied) {
    // Different numbers, so that only the parts tell the tensors apart.
    FileBuilder b;
    b.input("x", {-1, 3}).floats("a", {3}, {1, 2, 3}).floats("b", {3}, {4, 5, 6});
    norm(b, {"x", "a", "b", "b", "a"}, "y").output("y");
    const auto model = imported(b);
    const auto operands = read_by(model.graph, "BatchNormalization");
    EXPECT_EQ(std::set<std::string>(operands.begin(), operands.end()).size(), 4U);
    EXPECT_EQ(*parameter(model.graph, operands[3])->given, (std::vector<float>{1, 2, 3}));
}

TEST(SharedTensor, StatisticsOfTwoLayersAreTheirOwn) {
    FileBuilder b;
    b.input("x", {-1, 3}).floats("one", {3}, {1, 1, 1}).floats("zero", {3}, {0, 0, 0});
    norm(b, {"x", "one", "zero", "zero", "one"}, "u");
    norm(b, {"u", "one", "zero", "zero", "one"}, "y").output("y");
    const auto model = imported(b);
    EXPECT_EQ(model.graph.parameters().size(), 8U);
    ASSERT_EQ(model.statistics.size(), 4U);
    std::set<std::string> buffers;
    for (const auto& statistic : model.statistics) buffers.insert(statistic.buffer);
    EXPECT_EQ(buffers.size(), 4U);
    ASSERT_EQ(model.notes.size(), 1U);
    EXPECT_NE(model.notes[0].find("2 shared tensors"), std::string::npos) << model.notes[0];
}

TEST(SharedTensor, ConvolutionBiasThatIsAlsoTheMeanIsCopied) {
    FileBuilder b;
    b.input("x", {-1, 2, 4, 4}).floats("k", {3, 2, 1, 1}).floats("zero", {3}, {0, 0, 0});
    b.floats("s", {3}).floats("v", {3}, {1, 2, 3});
    b.node("Conv", {"x", "k", "zero"}, {"c"});
    norm(b, {"c", "s", "zero", "zero", "v"}, "y").output("y");
    const auto model = imported(b);
    const auto bias = read_by(model.graph, "Conv")[1];
    const auto operands = read_by(model.graph, "BatchNormalization");
    EXPECT_FALSE(parameter(model.graph, bias)->buffer);
    EXPECT_EQ((std::set<std::string>{bias, operands[1], operands[2]}).size(), 3U);
}

TEST(SharedTensor, NamesOfTheExporterAreKept) {
    // PyTorch keeps the names of what it merged as Identity nodes.
    FileBuilder b;
    b.input("x", {-1, 3}).floats("bn1.weight", {3}, {1, 1, 1}).floats("bn1.bias", {3}, {0, 0, 0});
    for (const char* name : {"bn1.running_mean", "bn2.bias", "bn2.running_mean"}) {
        b.node("Identity", {"bn1.bias"}, {name});
    }
    for (const char* name : {"bn1.running_var", "bn2.weight", "bn2.running_var"}) {
        b.node("Identity", {"bn1.weight"}, {name});
    }
    norm(b, {"x", "bn1.weight", "bn1.bias", "bn1.running_mean", "bn1.running_var"}, "u");
    norm(b, {"u", "bn2.weight", "bn2.bias", "bn2.running_mean", "bn2.running_var"}, "y");
    b.output("y");
    const auto model = imported(b);
    auto names = parameter_names(model.graph);
    std::sort(names.begin(), names.end());
    EXPECT_EQ(
        names,
        (Names{
            "bn1.bias",
            "bn1.running_mean",
            "bn1.running_var",
            "bn1.weight",
            "bn2.bias",
            "bn2.running_mean",
            "bn2.running_var",
            "bn2.weight"})
    );
    EXPECT_TRUE(parameter(model.graph, "bn2.running_var")->variance);
}

TEST(SharedTensor, EmbeddingsStayTied) {
    FileBuilder b;
    b.input("x", {-1, 6}, DataType::Int64)
        .floats("table", {5, 3})
        .node("Gather", {"table", "x"}, {"e"});
    b.node("Transpose", {"table"}, {"t"}, {{"perm", List{1, 0}}});
    b.node("MatMul", {"e", "t"}, {"y"}).output("y");
    const auto model = imported(b);
    EXPECT_EQ(parameter_names(model.graph), Names{"table"});
    ASSERT_EQ(model.notes.size(), 1U);
    EXPECT_NE(model.notes[0].find("stay tied"), std::string::npos) << model.notes[0];
}

TEST(SharedTensor, LayerThatIsUsedTwiceStaysOne) {
    FileBuilder b;
    b.input("x", {-1, 3}).floats("w", {3, 3}).floats("c", {3}).floats("s", {3}).floats("t", {3});
    b.node("Gemm", {"x", "w", "c"}, {"u"}).node("LayerNormalization", {"u", "s", "t"}, {"v"});
    b.node("Gemm", {"v", "w", "c"}, {"p"}).node("LayerNormalization", {"p", "s", "t"}, {"y"});
    b.output("y");
    EXPECT_EQ(parameter_names(imported(b).graph), (Names{"w", "c", "s", "t"}));
}

TEST(SharedTensor, CopiesAreLimited) {
    // One row of 2^20 numbers in a hundred places, as a scale and as a bias.
    FileBuilder b;
    constexpr std::int64_t kWidth = 1 << 20;
    b.input("x", {-1, kWidth}).floats("one", {kWidth}, std::vector<float>(kWidth, 1.0F));
    std::string at = "x";
    for (int i = 0; i < 20; ++i) {
        const auto next = "n" + std::to_string(i);
        b.node("LayerNormalization", {at, "one"}, {next});
        at = next;
    }
    b.output(at);
    auto file = b.file;
    const auto placed = place_parameters(file);
    ASSERT_TRUE(placed.has_error());
    EXPECT_EQ(placed.error().code, FaultCode::Oversized) << placed.error().message;
}

// Weights that are Constant nodes.

TEST(ConstantWeight, TrainsWhereItSitsInAWeightsPlace) {
    FileBuilder b;
    const std::vector<float> numbers{0.1F, 0.2F, 0.3F, 0.4F, 0.5F, 0.6F};
    b.input("x", {-1, 3}).constant("w", {3, 2}, numbers).constant("c", {2}, {0.7F, 0.8F});
    b.node("Gemm", {"x", "w", "c"}, {"y"}).output("y");
    const auto model = imported(b);
    EXPECT_EQ(parameter_names(model.graph), (Names{"w", "c"}));
    EXPECT_EQ(*parameter(model.graph, "w")->given, numbers);
    EXPECT_EQ(operators(model.graph), Names{"Gemm"});
}

TEST(ConstantWeight, TrainsBehindNodesThatHandItOn) {
    for (const auto* op : {"Identity", "Cast", "Transpose", "Reshape", "Unsqueeze"}) {
        SCOPED_TRACE(op);
        FileBuilder b;
        b.file.opset = 11;
        b.input("x", {-1, 3}).constant("w", {3, 3}, std::vector<float>(9, 0.25F));
        b.ints("shape", {3, 3});
        if (op == std::string("Cast")) {
            b.node(op, {"w"}, {"v"}, {{"to", std::int64_t{1}}});
        } else if (op == std::string("Reshape")) {
            b.node(op, {"w", "shape"}, {"v"});
        } else if (op == std::string("Unsqueeze")) {
            b.node(op, {"w"}, {"v0"}, {{"axes", List{0}}}).node("Reshape", {"v0", "shape"}, {"v"});
        } else {
            b.node(op, {"w"}, {"v"});
        }
        b.node("MatMul", {"x", "v"}, {"y"}).output("y");
        EXPECT_EQ(parameter_names(imported(b).graph), Names{"w"});
    }
}

TEST(ConstantWeight, BiasOfAMatMulTrains) {
    FileBuilder b;
    b.input("x", {-1, 3}).floats("w", {3, 2}).constant("c", {2}, {0.1F, 0.2F});
    b.node("MatMul", {"x", "w"}, {"m"}).node("Add", {"c", "m"}, {"y"}).output("y");
    EXPECT_EQ(parameter_names(imported(b).graph), (Names{"w", "c"}));
}

TEST(ConstantWeight, StatisticsAreMoved) {
    FileBuilder b;
    b.input("x", {-1, 2}).constant("s", {2}, {1, 1}).constant("t", {2}, {0, 0});
    b.constant("m", {2}, {0, 0}).constant("v", {2}, {1, 1});
    norm(b, {"x", "s", "t", "m", "v"}, "y").output("y");
    const auto model = imported(b);
    EXPECT_EQ(parameter_names(model.graph), (Names{"s", "t", "m", "v"}));
    EXPECT_EQ(model.statistics.size(), 2U);
}

TEST(ConstantWeight, NormsWithoutScaleStayWithout) {
    // affine=False: the exporter makes up ones and zeros, as Constant nodes beside real weights.
    FileBuilder b;
    b.input("x", {-1, 2}).constant("s", {2}, {1, 1}).constant("t", {2}, {0, 0});
    b.floats("m", {2}).floats("v", {2}, {1, 2}).floats("w", {2, 2});
    norm(b, {"x", "s", "t", "m", "v"}, "n").node("MatMul", {"n", "w"}, {"y"}).output("y");
    EXPECT_EQ(parameter_names(imported(b).graph), (Names{"m", "v", "w"}));
}

TEST(ConstantWeight, MasksAndOffsetsStay) {
    FileBuilder b;
    const float low = -std::numeric_limits<float>::infinity();
    b.input("x", {-1, 3}).floats("w", {3, 3}).constant("mask", {1, 3}, {0.0F, low, 0.0F});
    b.constant("row", {3}, {0.0F, low, 0.0F}).constant("factor", {3}, {1.0F, 2.0F, 3.0F});
    b.node("MatMul", {"x", "w"}, {"m"}).node("Add", {"m", "mask"}, {"a"});
    b.node("Add", {"m", "row"}, {"c"}).node("Mul", {"a", "factor"}, {"d"});
    b.node("Sub", {"c", "d"}, {"y"}).output("y");
    EXPECT_EQ(parameter_names(imported(b).graph), Names{"w"});
}

TEST(ConstantWeight, InitializerBehindIdentityIsAnOrdinaryOne) {
    FileBuilder b;
    b.input("x", {-1, 2}).floats("s", {2}).floats("t", {2}).floats("m", {2});
    b.floats("v", {2}, {1, 2}).node("Identity", {"m"}, {"mi"});
    b.node("Cast", {"v"}, {"vi"}, {{"to", std::int64_t{1}}});
    norm(b, {"x", "s", "t", "mi", "vi"}, "y").output("y");
    const auto model = imported(b);
    EXPECT_EQ(parameter_names(model.graph), (Names{"m", "v", "s", "t"}));
    EXPECT_EQ(model.statistics.size(), 2U);
}

// Instance normalisation, alone and as a part of a group normalisation.

FileBuilder instance_norm(bool spelled) {
    FileBuilder b;
    b.input("x", {-1, 4, 3, 3}).ints("groups", {0, 2, -1}).ints("back", {-1, 4, 3, 3});
    b.floats("s2", {2}, {1, 1}).floats("t2", {2}, {0, 0});
    b.floats("s4", {4}, {1, 1, 1, 1}).floats("t4", {4}, {0, 0, 0, 0});
    b.floats("w", {4, 1, 1}).floats("c", {4, 1, 1});
    if (spelled) {
        b.node("Reshape", {"x", "groups"}, {"g"});
        b.node("InstanceNormalization", {"g", "s2", "t2"}, {"n"});
        b.node("Reshape", {"n", "back"}, {"r"}).node("Mul", {"r", "w"}, {"p"});
        b.node("Add", {"p", "c"}, {"y"}).output("y");
    } else {
        b.node("InstanceNormalization", {"x", "s4", "t4"}, {"y"}).output("y");
    }
    return b;
}

TEST(FreshInstanceNorm, TrainsWhereItStandsAlone) {
    EXPECT_EQ(parameter_names(imported(instance_norm(false)).graph), (Names{"s4", "t4"}));
}

TEST(FreshInstanceNorm, BelongsToTheGroupNormThatItSpells) {
    EXPECT_EQ(parameter_names(imported(instance_norm(true)).graph), (Names{"w", "c"}));
}

TEST(FreshInstanceNorm, TrainsBetweenReshapesThatSpellNothing) {
    FileBuilder b;
    b.input("x", {-1, 4, 9}).ints("square", {-1, 4, 3, 3}).ints("back", {-1, 4, 9});
    b.floats("s", {4}, {1, 1, 1, 1}).floats("t", {4}, {0, 0, 0, 0});
    b.node("Reshape", {"x", "square"}, {"g"});
    b.node("InstanceNormalization", {"g", "s", "t"}, {"n"});
    b.node("Reshape", {"n", "back"}, {"r"}).node("Relu", {"r"}, {"y"}).output("y");
    EXPECT_EQ(parameter_names(imported(b).graph), (Names{"s", "t"}));
}

TEST(FreshInstanceNorm, OnesOfAGroupNormAreNotTheScaleOfAnotherLayer) {
    auto b = instance_norm(true);
    b.file.outputs.clear();
    b.floats("m", {2}).floats("v", {2}, {1, 2}).ints("two", {-1, 2});
    b.node("Reshape", {"y", "two"}, {"z"});
    norm(b, {"z", "s2", "t2", "m", "v"}, "last").output("last");
    const auto model = imported(b);
    EXPECT_EQ(model.graph.parameters().size(), 6U);
    EXPECT_EQ(read_by(model.graph, "BatchNormalization").size(), 4U);
}

}  // namespace
}  // namespace starling::compute::onnx
