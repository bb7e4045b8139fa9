// Goal: causal attention is found in a file however its exporter spelled it, and only there.
// Method: one attention in many spellings, each read twice, recognised and as it stands: results
// and gradients of all parameters must be the same.

#include <algorithm>
#include <cmath>
#include <limits>

#include "compute/graph/operator.hpp"
#include "tests/unit/compute/support/graph_fixture.hpp"
#include "tests/unit/compute/support/onnx_file.hpp"
#include "tests/unit/compute/support/onnx_fixture.hpp"

namespace starling::compute::onnx {
namespace {

using Ints = std::vector<std::int64_t>;
using Names = std::vector<std::string>;

constexpr std::int64_t kSamples = 2;
constexpr std::int64_t kTokens = 5;
constexpr std::int64_t kHeads = 2;
constexpr std::int64_t kHead = 4;
constexpr std::int64_t kWidth = kHeads * kHead;

int count(const Graph& graph, std::string_view op) {
    return static_cast<int>(std::count_if(
        graph.nodes().begin(),
        graph.nodes().end(),
        [&](const Node& node) { return node.op->name == op; }
    ));
}

ImportedModel import(const FileBuilder& b, bool recognise) {
    ImportOptions options;
    options.recognise = recognise;
    auto model = import_onnx(b.bytes(), options);
    EXPECT_TRUE(model.has_value()) << model.error().message;
    return std::move(*model);
}

/// A square of tokens by tokens with one number where a token sees another, and another elsewhere.
std::vector<float> triangle(float seen, float hidden) {
    std::vector<float> values;
    for (std::int64_t i = 0; i < kTokens * kTokens; ++i) {
        values.push_back(i % kTokens > i / kTokens ? hidden : seen);
    }
    return values;
}

/// Queries, keys and values as `q`, `k` and `v`, [N,T,D] or the same rows as a matrix.
enum class Projection {
    Products,
    ProductsWithBias,
    Gemms,
    Split,
    SplitInAnotherOrder,
    SplitOfAMatrix
};
enum class Scale { Product, Quotient, Queries, QueriesAndKeys, None, Unusual, BehindTheMask };
enum class Mask {
    Where,
    WhereNot,
    Sum,
    Infinite,
    Comparison,
    ZerosAndDifference,
    InitializerOfFloats
};
enum class Ending { Beside, Apart };

struct Form {
    Projection projection = Projection::Products;
    Scale scale = Scale::Product;
    Mask mask = Mask::Where;
    Ending ending = Ending::Beside;
    bool turned_twice = false;
};

void project(FileBuilder& b, Projection projection) {
    const Shape square{kWidth, kWidth};
    const Shape wide{kWidth, 3 * kWidth};
    const std::vector<std::string> names{"q", "k", "v"};
    switch (projection) {
        case Projection::Products:
            for (const auto& name : names) {
                b.floats("w" + name, square).node("MatMul", {"x", "w" + name}, {name});
            }
            return;
        case Projection::ProductsWithBias:
            for (const auto& name : names) {
                b.floats("w" + name, square).floats("b" + name, {kWidth});
                b.node("MatMul", {"x", "w" + name}, {name + "p"});
                b.node("Add", {"b" + name, name + "p"}, {name});
            }
            return;
        case Projection::Gemms:
            b.ints("matrix", {-1, kWidth}).node("Reshape", {"x", "matrix"}, {"rows"});
            for (const auto& name : names) {
                b.floats("w" + name, square).floats("b" + name, {kWidth});
                b.node(
                    "Gemm", {"rows", "w" + name, "b" + name}, {name}, {{"transB", std::int64_t{1}}}
                );
            }
            return;
        case Projection::Split:
            b.floats("w", wide).node("MatMul", {"x", "w"}, {"all"});
            b.node("Split", {"all"}, {"q", "k", "v"}, {{"axis", std::int64_t{2}}});
            return;
        case Projection::SplitInAnotherOrder:
            b.floats("w", wide).node("MatMul", {"x", "w"}, {"all"});
            b.node("Split", {"all"}, {"v", "q", "k"}, {{"axis", std::int64_t{-1}}});
            return;
        case Projection::SplitOfAMatrix:
            b.ints("matrix", {-1, kWidth}).node("Reshape", {"x", "matrix"}, {"rows"});
            b.floats("w", wide).floats("b", {3 * kWidth}).node("Gemm", {"rows", "w", "b"}, {"all"});
            b.node("Split", {"all"}, {"q", "k", "v"}, {{"axis", std::int64_t{1}}});
            return;
    }
}

/// Heads apart, and keys turned, as `qh`, `kh` and `vh`.
void part(FileBuilder& b, const Form& form) {
    b.ints("apart", {kSamples, kTokens, kHeads, kHead});
    b.constant("root", {}, {1.0F / std::sqrt(2.0F)}).constant("half", {}, {0.5F});
    const Ints order{0, 2, 1, 3};
    for (const std::string name : {"q", "k", "v"}) {
        std::string from = name;
        if (name == "q" && form.scale == Scale::Queries) {
            b.node("Mul", {"q", "half"}, {"qs"});
            from = "qs";
        }
        b.node("Reshape", {from, "apart"}, {name + "a"});
        const bool turned = name == "k" && !form.turned_twice;
        b.node(
            "Transpose", {name + "a"}, {name + "t"}, {{"perm", turned ? Ints{0, 2, 3, 1} : order}}
        );
    }
    std::string keys = "kt";
    if (form.turned_twice) {
        b.node("Transpose", {"kt"}, {"kt2"}, {{"perm", Ints{0, 1, 3, 2}}});
        keys = "kt2";
    }
    if (form.scale == Scale::QueriesAndKeys) {
        b.node("Mul", {"qt", "root"}, {"qh"}).node("Mul", {"root", keys}, {"kh"});
    } else {
        b.node("Identity", {"qt"}, {"qh"}).node("Identity", {keys}, {"kh"});
    }
}

/// From `s` to `h`.
void hide(FileBuilder& b, Mask mask) {
    const Shape square{1, 1, kTokens, kTokens};
    constexpr float kLow = std::numeric_limits<float>::lowest();
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    b.constant("low", {}, {kLow}).constant("zero", {}, {0.0F});
    const auto truth = [&](float seen, float hidden) {
        b.constant("number", square, triangle(seen, hidden));
        b.node("Cast", {"number"}, {"which"}, {{"to", static_cast<std::int64_t>(DataType::Bool)}});
    };
    switch (mask) {
        case Mask::Where:
            truth(1.0F, 0.0F);
            b.node("Where", {"which", "s", "low"}, {"h"});
            return;
        case Mask::WhereNot:
            truth(0.0F, 1.0F);
            b.node("Where", {"which", "low", "s"}, {"h"});
            return;
        case Mask::Sum:
            b.constant("mask", {kTokens, kTokens}, triangle(0.0F, kLow));
            b.node("Add", {"s", "mask"}, {"h"});
            return;
        case Mask::Infinite:
            b.floats("mask", {kTokens, kTokens}, triangle(0.0F, -kInfinity));
            b.node("Add", {"mask", "s"}, {"h"});
            return;
        case Mask::Comparison:
            b.constant("ones", {kTokens, kTokens}, std::vector<float>(kTokens * kTokens, 1.0F));
            b.node("Trilu", {"ones"}, {"lower"}, {{"upper", std::int64_t{0}}});
            b.node("Equal", {"lower", "zero"}, {"which"});
            b.node("Where", {"which", "low", "s"}, {"h"});
            return;
        case Mask::ZerosAndDifference:
            b.floats("mask", square, triangle(1.0F, 0.0F)).constant("one", {}, {1.0F});
            b.constant("much", {}, {1e4F}).node("Sub", {"one", "mask"}, {"others"});
            b.node("Mul", {"others", "much"}, {"away"}).node("Mul", {"s", "mask"}, {"kept"});
            b.node("Sub", {"kept", "away"}, {"h"});
            return;
        case Mask::InitializerOfFloats: {
            // Longer than needed, as models keep theirs, and cut.
            std::vector<float> longer;
            for (int i = 0; i < 49; ++i) longer.push_back(i % 7 > i / 7 ? 0.0F : 1.0F);
            b.floats("buffer", {1, 1, 7, 7}, longer).ints("begin", {0, 0}).ints("end", {5, 5});
            b.ints("axes", {2, 3}).node("Slice", {"buffer", "begin", "end", "axes"}, {"mask"});
            b.node("Equal", {"mask", "zero"}, {"which"});
            b.node("Where", {"which", "low", "s"}, {"h"});
            return;
        }
    }
}

FileBuilder attention(const Form& form) {
    FileBuilder b;
    b.input("x", {kSamples, kTokens, kWidth});
    project(b, form.projection);
    part(b, form);
    b.constant("two", {}, {2.0F}).constant("third", {}, {0.3F});
    b.node("MatMul", {"qh", "kh"}, {"p"});
    const bool behind = form.scale == Scale::BehindTheMask;
    if (form.scale == Scale::Product) b.node("Mul", {"half", "p"}, {"s"});
    if (form.scale == Scale::Quotient) b.node("Div", {"p", "two"}, {"s"});
    if (form.scale == Scale::Unusual) b.node("Mul", {"p", "third"}, {"s"});
    if (b.file.nodes.back().outputs[0] != "s") b.node("Identity", {"p"}, {"s"});
    hide(b, form.mask);
    b.node(behind ? "Div" : "Identity", behind ? Names{"h", "two"} : Names{"h"}, {"l"});
    b.node("Softmax", {"l"}, {"c"}, {{"axis", std::int64_t{-1}}});
    b.node("MatMul", {"c", "vt"}, {"m"});
    b.floats("wo", {kWidth, kWidth}).ints("beside", {kSamples, kTokens, kWidth});
    if (form.ending == Ending::Beside) {
        b.node("Transpose", {"m"}, {"mt"}, {{"perm", Ints{0, 2, 1, 3}}});
        b.node("Reshape", {"mt", "beside"}, {"o"}).node("MatMul", {"o", "wo"}, {"y"});
    } else {
        b.node("Tanh", {"m"}, {"y"});
    }
    b.output("y");
    return b;
}

/// Gradients of all parameters under a loss, by name.
std::map<std::string, std::vector<double>> gradients(TestGraph& test) {
    TestRun run(test, 5);
    (void)run.reference_loss(test);
    std::map<std::string, std::vector<double>> found;
    for (std::size_t i = 0; i < test.gradients.size(); ++i) {
        found[test.graph.parameters()[i].name] = run.tensors.at(test.gradients[i]).values;
    }
    return found;
}

TestGraph under_loss(ImportedModel model) {
    TestGraph test;
    const auto y = model.outputs[0].id;
    test.graph = std::move(model.graph);
    test.finish(y);
    return test;
}

/// Expects that the file has `attentions` and that they compute what their spelling does.
void expect_recognised(const FileBuilder& b, int attentions = 1) {
    auto whole = import(b, true);
    EXPECT_EQ(count(whole.graph, "CausalAttention"), attentions);
    EXPECT_EQ(count(whole.graph, "Softmax"), 0);
    auto spelled = import(b, false);
    EXPECT_GE(count(spelled.graph, "Softmax"), 1);
    EXPECT_EQ(whole.graph.parameters().size(), spelled.graph.parameters().size());
    auto a = under_loss(std::move(whole));
    auto c = under_loss(std::move(spelled));
    TestRun run(a, 5);
    TestRun other(c, 5);
    // The file's factors are floats; the operator's own is a double.
    EXPECT_NEAR(run.reference_loss(a), other.reference_loss(c), 1e-7);
    const auto here = gradients(a);
    const auto there = gradients(c);
    for (const auto& [name, values] : there) {
        const auto& ours = here.at(name);
        ASSERT_EQ(ours.size(), values.size());
        for (std::size_t i = 0; i < values.size(); ++i) {
            EXPECT_NEAR(ours[i], values[i], 1e-7) << name << " " << i;
        }
    }
    expect_plan_matches(a, 5, 2);
}

TEST(OnnxAttention, IsRecognisedAfterEveryProjection) {
    for (const auto projection :
         {Projection::Products,
          Projection::ProductsWithBias,
          Projection::Gemms,
          Projection::Split,
          Projection::SplitInAnotherOrder,
          Projection::SplitOfAMatrix}) {
        SCOPED_TRACE(static_cast<int>(projection));
        for (const bool twice : {false, true}) {
            Form form;
            form.projection = projection;
            form.turned_twice = twice;
            expect_recognised(attention(form));
        }
    }
}

TEST(OnnxAttention, IsRecognisedWithEveryScale) {
    for (const auto projection : {Projection::ProductsWithBias, Projection::Split}) {
        for (const auto scale :
             {Scale::Product,
              Scale::Quotient,
              Scale::Queries,
              Scale::QueriesAndKeys,
              Scale::None,
              Scale::Unusual,
              Scale::BehindTheMask}) {
            SCOPED_TRACE(static_cast<int>(scale));
            Form form;
            form.projection = projection;
            form.scale = scale;
            expect_recognised(attention(form));
        }
    }
}

TEST(OnnxAttention, IsRecognisedBehindEveryMask) {
    for (const auto mask :
         {Mask::Where,
          Mask::WhereNot,
          Mask::Sum,
          Mask::Infinite,
          Mask::Comparison,
          Mask::ZerosAndDifference,
          Mask::InitializerOfFloats}) {
        SCOPED_TRACE(static_cast<int>(mask));
        Form form;
        form.mask = mask;
        expect_recognised(attention(form));
    }
}

TEST(OnnxAttention, IsRecognisedWhereHeadsStayApart) {
    Form form;
    form.ending = Ending::Apart;
    expect_recognised(attention(form));
}

TEST(OnnxAttention, PackedProjectionsAreReadInPlace) {
    Form form;
    form.projection = Projection::Split;
    auto model = import(attention(form), true);
    EXPECT_EQ(count(model.graph, "Slice") + count(model.graph, "Concat"), 0);
    EXPECT_EQ(count(model.graph, "Transpose"), 0);
    form.projection = Projection::Products;
    model = import(attention(form), true);
    EXPECT_EQ(count(model.graph, "Concat"), 1);
    EXPECT_EQ(count(model.graph, "Transpose"), 0);
}

TEST(OnnxAttention, HeadsOfTheirOwnAreRecognised) {
    // One class for a head, as teaching codes write it: no axis for heads, results side by side.
    FileBuilder b;
    b.input("x", {kSamples, kTokens, kWidth}).constant("scale", {}, {0.4F});
    b.constant("low", {}, {-std::numeric_limits<float>::infinity()});
    b.floats("tril", {kTokens, kTokens}, triangle(1.0F, 0.0F)).constant("zero", {}, {0.0F});
    b.node("Equal", {"tril", "zero"}, {"which"});
    for (const std::string head : {"0", "1"}) {
        for (const std::string part : {"q", "k", "v"}) {
            const auto name = part + head;
            b.floats("w" + name, {kWidth, kHead}).node("MatMul", {"x", "w" + name}, {name});
        }
        b.node("Transpose", {"k" + head}, {"t" + head}, {{"perm", Ints{0, 2, 1}}});
        b.node("MatMul", {"q" + head, "t" + head}, {"p" + head});
        b.node("Mul", {"p" + head, "scale"}, {"s" + head});
        b.node("Where", {"which", "low", "s" + head}, {"h" + head});
        b.node("Softmax", {"h" + head}, {"c" + head}, {{"axis", std::int64_t{-1}}});
        b.node("MatMul", {"c" + head, "v" + head}, {"m" + head});
    }
    b.node("Concat", {"m0", "m1"}, {"y"}, {{"axis", std::int64_t{2}}}).output("y");
    expect_recognised(b, 2);
}

TEST(OnnxAttention, OperandsThatAreTurnedAsAWholeAreRecognised) {
    // One product, shaped and turned once, and each part picked from the front.
    FileBuilder b;
    b.input("x", {kSamples, kTokens, kWidth}).floats("w", {kWidth, 3 * kWidth});
    b.ints("five", {kSamples, kTokens, 3, kHeads, kHead}).constant("half", {}, {0.5F});
    b.node("MatMul", {"x", "w"}, {"all"}).node("Reshape", {"all", "five"}, {"apart"});
    b.node("Transpose", {"apart"}, {"front"}, {{"perm", Ints{2, 0, 3, 1, 4}}});
    for (std::int64_t i = 0; i < 3; ++i) {
        const auto index = "i" + std::to_string(i);
        b.ints(index, {i}).node("Gather", {"front", index}, {"g" + index});
        b.ints("axis" + index, {0});
        b.node("Squeeze", {"g" + index, "axis" + index}, {"p" + index});
    }
    b.node("Transpose", {"pi1"}, {"kt"}, {{"perm", Ints{0, 1, 3, 2}}});
    b.node("MatMul", {"pi0", "kt"}, {"p"}).node("Mul", {"p", "half"}, {"s"});
    hide(b, Mask::Sum);
    b.node(
         "Softmax", {"h"}, {"c"}, {{"axis", std::int64_t{3}}}
    ).node("MatMul", {"c", "pi2"}, {"m"});
    b.node("Transpose", {"m"}, {"y"}, {{"perm", Ints{0, 2, 1, 3}}}).output("y");
    expect_recognised(b);
}

TEST(OnnxAttention, MasksAreNoParameters) {
    for (const auto mask : {Mask::Infinite, Mask::ZerosAndDifference, Mask::InitializerOfFloats}) {
        Form form;
        form.mask = mask;
        for (const bool recognise : {false, true}) {
            const auto model = import(attention(form), recognise);
            for (const auto& info : model.graph.parameters()) {
                EXPECT_TRUE(info.name.starts_with("w")) << info.name;
            }
        }
    }
}

TEST(OnnxAttention, WhatOnlyLooksLikeItStays) {
    const auto stays = [](const FileBuilder& b, const char* what) {
        SCOPED_TRACE(what);
        const auto model = import(b, true);
        EXPECT_EQ(count(model.graph, "CausalAttention"), 0);
        EXPECT_EQ(count(model.graph, "Softmax"), 1);
    };
    const auto change = [](FileBuilder b, const char* output, auto edit) {
        for (auto& node : b.file.nodes) {
            if (node.outputs[0] == output) edit(node);
        }
        return b;
    };
    const auto where = attention({});
    const auto axis = [](NodeMessage& node) { node.attributes[0].value = std::int64_t{2}; };
    stays(change(where, "c", axis), "softmax over queries");
    const auto peek = [](NodeMessage& node) { node.attributes[0].tensor->floats[2] = 1.0F; };
    stays(change(where, "number", peek), "a token sees one that comes later");
    const auto strict = [](NodeMessage& node) { node.attributes[0].tensor->floats[0] = 0.0F; };
    stays(change(where, "number", strict), "a token does not see itself");
    const auto weak = [](NodeMessage& node) { node.attributes[0].tensor->floats[0] = -5.0F; };
    stays(change(where, "low", weak), "hidden tokens keep some weight");
    const auto flip = [](NodeMessage& node) { std::swap(node.inputs[1], node.inputs[2]); };
    stays(change(where, "h", flip), "the mask is the other way round");
    const auto weighted = [](NodeMessage& node) { node.inputs = {"c", "vs"}; };
    auto values = change(where, "m", weighted);
    NodeMessage product;
    product.op = "Mul";
    product.inputs = {"vt", "two"};
    product.outputs = {"vs"};
    const auto place = std::find_if(
        values.file.nodes.begin(),
        values.file.nodes.end(),
        [](const NodeMessage& node) { return node.outputs[0] == "m"; }
    );
    values.file.nodes.insert(place, product);
    stays(values, "values are multiplied by a number");
}

}  // namespace
}  // namespace starling::compute::onnx
