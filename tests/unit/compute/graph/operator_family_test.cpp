// Goal: the operators that broadcast, move, fold and normalise compute the same in the CPU plan as
// in the naive reference, forward and backward, and the reference's gradients are the true ones.
// Method: that of operator_test.cpp. A few small tables with expected results test views, whose
// code plan and reference share.

#include <cmath>
#include <string>

#include "compute/graph/operator.hpp"
#include "tests/unit/compute/support/operator_check.hpp"

namespace starling::compute {
namespace {

/// Two shapes that broadcast: dimensions of one sprinkled over a common shape.
std::pair<Shape, Shape> broadcast_pair(Rng& rng) {
    Shape whole{draw(rng, 1, 4), draw(rng, 2, 5), draw(rng, 1, 4), draw(rng, 2, 6)};
    Shape a = whole;
    Shape b = whole;
    for (std::size_t i = 0; i < whole.size(); ++i) {
        if (rng.chance(0.3)) (rng.chance(0.5) ? a : b)[i] = 1;
    }
    b.erase(b.begin(), b.begin() + draw(rng, 0, 3));
    if (rng.chance(0.5)) std::swap(a, b);
    return {a, b};
}

TEST(Broadcast, PairsMatchTheReference) {
    for (const auto* op : {"Add", "Sub", "Mul", "Max", "Min"}) {
        SCOPED_TRACE(op);
        check_operator([&](TestGraph& test, Rng& rng) {
            const auto [a, b] = broadcast_pair(rng);
            return test.add(op, {test.parameter(a), test.parameter(b)});
        });
    }
}

TEST(Broadcast, QuotientsAndPowersOfPositiveNumbersMatchTheReference) {
    for (const auto* op : {"Div", "Pow"}) {
        SCOPED_TRACE(op);
        check_operator([&](TestGraph& test, Rng& rng) {
            const auto [a, b] = broadcast_pair(rng);
            return test.add(
                op, {test.positive(test.parameter(a)), test.positive(test.parameter(b))}
            );
        });
    }
}

TEST(Broadcast, WhereMatchesTheReference) {
    check_operator([](TestGraph& test, Rng& rng) {
        const auto [a, b] = broadcast_pair(rng);
        const auto left = test.parameter(a);
        const auto right = test.parameter(b);
        const auto which = test.add("AheadMask", {test.constant({0.1}), right});
        return test.add("Where", {which, left, right});
    });
}

TEST(Function, EachMatchesTheReference) {
    for (const auto* op :
         {"Relu",
          "LeakyRelu",
          "Elu",
          "Sigmoid",
          "Tanh",
          "Gelu",
          "HardSigmoid",
          "HardSwish",
          "Softplus",
          "Exp",
          "Erf",
          "Abs",
          "Neg"}) {
        SCOPED_TRACE(op);
        check_operator([&](TestGraph& test, Rng& rng) {
            const auto x = test.parameter({draw(rng, 1, 5), draw(rng, 2, 30)});
            return test.add(op, {test.add("Mul", {x, test.constant({4.0})})});
        });
    }
}

TEST(Function, ThoseOfPositiveNumbersMatchTheReference) {
    for (const auto* op : {"Log", "Sqrt", "Reciprocal"}) {
        SCOPED_TRACE(op);
        check_operator([&](TestGraph& test, Rng& rng) {
            return test.add(op, {test.positive(test.parameter({3, draw(rng, 2, 30)}))});
        });
    }
}

TEST(Function, ClipMatchesTheReference) {
    check_operator([](TestGraph& test, Rng& rng) {
        const Attributes bounds{{"min", -0.4}, {"max", 0.3}};
        return test.add("Clip", {test.parameter({3, draw(rng, 2, 30)})}, bounds);
    });
}

TEST(Function, CastsToWholeNumbersAndBackMatchTheReference) {
    check_operator([](TestGraph& test, Rng& rng) {
        const Shape shape{3, draw(rng, 2, 30)};
        // A buffer, because whole numbers have no slope.
        const auto scaled = test.add("Mul", {test.buffer(shape), test.constant({7.0})});
        const auto whole = test.add("Cast", {scaled}, {{"to", std::string("int32")}});
        const auto back = test.add("Cast", {whole}, {{"to", std::string("float")}});
        return test.add("Add", {test.parameter(shape), back});
    });
}

TEST(Function, WorksOnTheBlockedLayoutOfAConvolution) {
    check_operator([](TestGraph& test, Rng& rng) {
        const auto x = test.parameter({2, 3, 6, 6});
        const auto w = test.parameter({draw(rng, 2, 20), 3, 3, 3});
        const auto y = test.add("Conv", {x, w}, {{"kernel_shape", Ints{3, 3}}});
        const auto z = test.add("Add", {test.add("Gelu", {y}), y});
        return test.add("Tanh", {z});
    });
}

Ints some_axes(Rng& rng, std::int64_t rank) {
    Ints axes;
    for (std::int64_t i = 0; i < rank; ++i) {
        if (rng.chance(0.5)) axes.push_back(rng.chance(0.3) ? i - rank : i);
    }
    return axes;
}

TEST(Reduction, FoldsOfAnyAxesMatchTheReference) {
    for (const auto* op : {"ReduceSum", "ReduceMean", "ReduceMax"}) {
        SCOPED_TRACE(op);
        check_operator([&](TestGraph& test, Rng& rng) {
            const auto x =
                test.parameter({draw(rng, 1, 4), draw(rng, 2, 5), draw(rng, 1, 4), draw(rng, 2, 9)}
                );
            const Attributes fold{{"axes", some_axes(rng, 4)}, {"keepdims", draw(rng, 0, 1)}};
            const auto y = test.add(op, {x}, fold);
            const auto pair = test.parameter({1, 3});
            return test.add("Mul", {test.add("Reshape", {y}, {{"shape", Ints{-1, 1}}}), pair});
        });
    }
}

TEST(Reduction, TallMatricesFoldOnTwoThreads) {
    TestGraph test;
    const auto x = test.parameter({500, 70});
    const Attributes rows{{"axes", Ints{0}}};
    test.finish(test.add("ReduceMean", {test.add("Exp", {x})}, rows));
    expect_plan_matches(test, 3, 2);
}

TEST(Softmax, AnyAxisMatchesTheReference) {
    for (const auto* op : {"Softmax", "LogSoftmax"}) {
        SCOPED_TRACE(op);
        check_operator([&](TestGraph& test, Rng& rng) {
            const auto x = test.parameter({draw(rng, 2, 4), draw(rng, 2, 9), draw(rng, 2, 9)});
            return test.add(op, {x}, {{"axis", draw(rng, -3, 2)}});
        });
    }
}

TEST(Movement, TransposeMatchesTheReference) {
    check_operator([](TestGraph& test, Rng& rng) {
        const auto x = test.parameter({draw(rng, 1, 4), draw(rng, 2, 5), draw(rng, 1, 4), 3});
        Ints order{0, 1, 2, 3};
        rng.shuffle(std::span(order));
        return test.add("Transpose", {x}, {{"perm", order}});
    });
}

TEST(Movement, SliceMatchesTheReference) {
    check_operator([](TestGraph& test, Rng& rng) {
        const auto x = test.parameter({3, draw(rng, 4, 9), draw(rng, 4, 9)});
        const bool back = rng.chance(0.5);
        const Attributes part{
            {"axes", Ints{1, -1}},
            {"starts", Ints{draw(rng, 0, 2), back ? -1 : 1}},
            {"ends", Ints{1000, back ? -1000 : 1000}},
            {"steps", Ints{draw(rng, 1, 2), back ? -draw(rng, 1, 2) : draw(rng, 1, 2)}}};
        return test.add("Slice", {x}, part);
    });
}

TEST(Movement, ConcatSplitPadAndExpandMatchTheReference) {
    check_operator([](TestGraph& test, Rng& rng) {
        const auto axis = draw(rng, 0, 2);
        Shape a{2, 3, 4};
        Shape b = a;
        b[static_cast<std::size_t>(axis)] = draw(rng, 1, 5);
        const auto whole =
            test.add("Concat", {test.parameter(a), test.parameter(b)}, {{"axis", axis}});
        const auto size = test.graph.shape(whole)[static_cast<std::size_t>(axis)];
        const Attributes cut{{"axis", axis}, {"split", Ints{1, size - 1}}};
        const auto parts = test.graph.emit("Split", {whole}, cut);
        const Attributes around{{"pads", Ints{0, draw(rng, 0, 2), 1, 0, 1, draw(rng, 0, 2)}}};
        const auto wide = test.add("Expand", {parts[0]}, {{"shape", test.graph.shape(parts[1])}});
        return test.add("Pad", {test.add("Mul", {wide, parts[1]})}, around);
    });
}

TEST(Movement, GatherMatchesTheReference) {
    check_operator([](TestGraph& test, Rng& rng) {
        const auto x = test.parameter({3, 7, draw(rng, 1, 5)});
        const Attributes which{
            {"value", std::vector<double>{0.0, 6.0, 6.0, -1.0}},
            {"shape", Shape{2, 2}},
            {"to", std::string("int32")}};
        const auto indices = test.graph.emit("Constant", {}, which)[0];
        return test.add("Gather", {x, indices}, {{"axis", draw(rng, 1, 1)}});
    });
}

TEST(Movement, ResizeSqueezeAndUnsqueezeMatchTheReference) {
    check_operator([](TestGraph& test, Rng& rng) {
        const auto x = test.parameter({2, 1, draw(rng, 2, 4), 3});
        const auto big =
            test.add("Resize", {x}, {{"scales", Ints{1, 1, draw(rng, 1, 3), draw(rng, 1, 3)}}});
        const auto flat = test.add("Squeeze", {big}, {{"axes", Ints{1}}});
        return test.add("Unsqueeze", {flat}, {{"axes", Ints{0, -1}}});
    });
}

/// The values of a node on a constant operand, by the reference.
std::vector<double> evaluated(const char* op, const Shape& shape, const Attributes& attributes) {
    TestGraph test;
    std::vector<double> values;
    for (std::int64_t i = 0; i < element_count(shape); ++i)
        values.push_back(static_cast<double>(i));
    const auto x = test.graph.emit("Constant", {}, {{"value", values}, {"shape", shape}})[0];
    const auto y = test.add(op, {x}, attributes);
    reference::Tensors tensors;
    EXPECT_TRUE(reference::evaluate(test.graph, tensors).has_value());
    return tensors.at(y).values;
}

using Values = std::vector<double>;

TEST(View, TablesHoldWhatOnnxSays) {
    EXPECT_EQ(evaluated("Transpose", {2, 3}, {}), (Values{0, 3, 1, 4, 2, 5}));
    EXPECT_EQ(
        evaluated("Transpose", {1, 2, 3}, {{"perm", Ints{2, 0, 1}}}), (Values{0, 3, 1, 4, 2, 5})
    );
    const Attributes back{{"starts", Ints{-1}}, {"ends", Ints{-100}}, {"steps", Ints{-2}}};
    EXPECT_EQ(evaluated("Slice", {5}, back), (Values{4, 2, 0}));
    const Attributes middle{{"starts", Ints{1}}, {"ends", Ints{-1}}, {"axes", Ints{-1}}};
    EXPECT_EQ(evaluated("Slice", {2, 4}, middle), (Values{1, 2, 5, 6}));
    EXPECT_EQ(
        evaluated("Expand", {2, 1}, {{"shape", Ints{2, 1, 2}}}), (Values{0, 0, 1, 1, 0, 0, 1, 1})
    );
    EXPECT_EQ(
        evaluated("Resize", {1, 2}, {{"scales", Ints{2, 2}}}), (Values{0, 0, 1, 1, 0, 0, 1, 1})
    );
    EXPECT_EQ(evaluated("ReduceSum", {2, 2}, {{"axes", Ints{0}}}), (Values{2, 4}));
    const Attributes around{{"pads", Ints{1, 0}}, {"value", 9.0}};
    EXPECT_EQ(evaluated("Pad", {2}, around), (Values{9, 0, 1}));
}

TEST(Normalization, LayerNormMatchesTheReference) {
    check_operator(
        [](TestGraph& test, Rng& rng) {
            const Shape x{draw(rng, 1, 3), draw(rng, 2, 5), draw(rng, 2, 40)};
            const auto axis = draw(rng, 1, 2);
            const Shape inner(x.begin() + axis, x.end());
            std::vector<ValueId> operands{test.parameter(x)};
            if (rng.chance(0.8)) operands.push_back(test.parameter(inner));
            if (operands.size() == 2 && rng.chance(0.8)) operands.push_back(test.parameter(inner));
            return test.add("LayerNormalization", operands, {{"axis", axis}, {"epsilon", 1e-3}});
        },
        1e-4
    );
}

TEST(Normalization, GroupAndInstanceNormMatchTheReference) {
    for (const auto* op : {"GroupNormalization", "InstanceNormalization"}) {
        SCOPED_TRACE(op);
        check_operator(
            [&](TestGraph& test, Rng& rng) {
                const auto x = test.parameter({2, 6, draw(rng, 2, 5), 3});
                Attributes attributes{{"epsilon", 1e-3}};
                if (op[0] == 'G') attributes.set("num_groups", std::int64_t{3});
                return test.add(op, {x, test.parameter({6}), test.parameter({6})}, attributes);
            },
            1e-4
        );
    }
}

TEST(Normalization, BatchNormOfAConvolutionMatchesTheReference) {
    check_operator(
        [](TestGraph& test, Rng& rng) {
            const auto channels = draw(rng, 2, 20);
            const auto x = test.parameter({3, 2, 6, draw(rng, 4, 6)});
            const auto w = test.parameter({channels, 2, 3, 3});
            const auto y = test.add("Conv", {x, w}, {{"kernel_shape", Ints{3, 3}}});
            const auto scale = test.parameter({channels});
            const auto bias = test.parameter({channels});
            const auto mean = test.buffer({channels});
            const auto variance = test.buffer({channels});
            const Attributes training{{"training_mode", std::int64_t{1}}, {"epsilon", 1e-3}};
            const auto z =
                test.add("BatchNormalization", {y, scale, bias, mean, variance}, training);
            return test.add("Relu", {z});
        },
        1e-4
    );
}

TEST(Normalization, BatchNormWithGivenStatisticsMatchesTheReference) {
    check_operator(
        [](TestGraph& test, Rng& rng) {
            const auto channels = draw(rng, 2, 9);
            const auto x = test.parameter({3, channels, 4, 4});
            const auto scale = test.parameter({channels});
            const auto bias = test.parameter({channels});
            const auto mean = test.parameter({channels});
            const auto variance = test.positive(test.buffer({channels}));
            return test.add("BatchNormalization", {x, scale, bias, mean, variance});
        },
        1e-4
    );
}

TEST(MatMul, BatchesThatBroadcastMatchTheReference) {
    check_operator([](TestGraph& test, Rng& rng) {
        const auto m = draw(rng, 1, 6);
        const auto k = draw(rng, 1, 9);
        const auto n = draw(rng, 2, 7);
        const auto a = test.parameter({draw(rng, 1, 2) == 1 ? 1 : 3, 2, m, k});
        const auto b = test.parameter(rng.chance(0.5) ? Shape{2, k, n} : Shape{3, 1, k, n});
        return test.add("MatMul", {a, b});
    });
}

TEST(MatMul, OneMatrixForAllMatchesTheReference) {
    check_operator([](TestGraph& test, Rng& rng) {
        const auto k = draw(rng, 1, 9);
        const auto a = test.parameter({3, draw(rng, 1, 6), k});
        return test.add("MatMul", {a, test.parameter({k, draw(rng, 2, 7)})});
    });
}

TEST(MatMul, GemmWithFactorsAndAnyBiasMatchesTheReference) {
    check_operator([](TestGraph& test, Rng& rng) {
        const auto n = draw(rng, 2, 6);
        const auto o = draw(rng, 2, 7);
        const auto a = test.parameter({3, n});
        const auto b = test.parameter({3, o});
        const auto c = test.parameter(rng.chance(0.5) ? Shape{n, 1} : Shape{o});
        const Attributes attributes{{"alpha", 0.5}, {"beta", 2.0}, {"transA", std::int64_t{1}}};
        return test.add("Gemm", {a, b, c}, attributes);
    });
}

TEST(Convolution, GroupsMatchTheReference) {
    check_operator([](TestGraph& test, Rng& rng) {
        const auto groups = draw(rng, 2, 4);
        const auto deep = draw(rng, 1, 3);
        const auto x = test.parameter({2, groups * deep, 6, draw(rng, 5, 7)});
        const auto w = test.parameter({groups * draw(rng, 1, 5), deep, 3, 3});
        const auto b = test.parameter({test.graph.shape(w)[0]});
        const Attributes attributes{
            {"kernel_shape", Ints{3, 3}},
            {"pads", Ints{1, 1, 1, 1}},
            {"strides", Ints{draw(rng, 1, 2), 1}},
            {"group", groups}};
        return test.add("Conv", {x, w, b}, attributes);
    });
}

TEST(Convolution, TransposedMatchesTheReference) {
    check_operator([](TestGraph& test, Rng& rng) {
        const auto groups = draw(rng, 1, 2);
        const auto x = test.parameter({2, 4, draw(rng, 2, 5), 3});
        const auto w = test.parameter({4, draw(rng, 1, 5), 3, 3});
        const auto b = test.parameter({test.graph.shape(w)[1] * groups});
        const Attributes attributes{
            {"kernel_shape", Ints{3, 3}},
            {"pads", Ints{1, 0, 1, 0}},
            {"strides", Ints{2, 2}},
            {"output_padding", Ints{draw(rng, 0, 1), 0}},
            {"group", groups}};
        return test.add("ConvTranspose", {x, w, b}, attributes);
    });
}

TEST(Pooling, GlobalMaxPoolMatchesTheReference) {
    check_operator([](TestGraph& test, Rng& rng) {
        return test.add("GlobalMaxPool", {test.parameter({2, draw(rng, 2, 20), 3, 4})});
    });
}

TEST(Attention, CausalAttentionMatchesTheReference) {
    check_operator([](TestGraph& test, Rng& rng) {
        const auto heads = draw(rng, 1, 3);
        const auto x = test.parameter({2, draw(rng, 1, 6), 3 * heads * draw(rng, 1, 4)});
        return test.add("CausalAttention", {x}, {{"heads", heads}});
    });
}

TEST(Attention, ManyBlocksOfTokensMatchTheReferenceOnTwoThreads) {
    TestGraph test;
    const auto x = test.parameter({2, 150, 2 * 3 * 4});
    test.finish(test.add("CausalAttention", {x}, {{"heads", std::int64_t{2}}}));
    expect_plan_matches(test, 5, 2, 1e-4);
}

/// Cards go through rows in tiles of 64 tokens, and through a head in steps of 64.
TEST(Attention, RowsAndHeadsAroundTheSizeOfATileMatchTheReference) {
    constexpr std::array<std::pair<std::int64_t, std::int64_t>, 5> kSizes{
        {{63, 2}, {64, 3}, {65, 1}, {131, 5}, {7, 67}}};
    for (const auto& [tokens, width] : kSizes) {
        SCOPED_TRACE(tokens);
        TestGraph test;
        const auto x = test.parameter({2, tokens, 3 * 2 * width});
        test.finish(test.add("CausalAttention", {x}, {{"heads", std::int64_t{2}}}));
        expect_plan_matches(test, 7, 1, 1e-4);
    }
}

TEST(Attention, ScoresTooLargeForAnExponentialMatchTheReference) {
    TestGraph test;
    const auto x = test.parameter({2, 150, 2 * 3 * 4});
    const auto large = test.add("Mul", {x, test.constant({12.0})});
    test.finish(test.add("CausalAttention", {large}, {{"heads", std::int64_t{2}}}));
    expect_plan_matches(test, 5, 1, 1e-3);
}

TEST(Family, OperandsThatDoNotFitAreRefused) {
    TestGraph test;
    const auto x = test.parameter({2, 3, 4});
    const auto refused = [&](const char* op, std::vector<ValueId> inputs, Attributes attributes) {
        EXPECT_TRUE(test.graph.add(op, std::move(inputs), std::move(attributes)).has_error()) << op;
    };
    refused("Transpose", {x}, {{"perm", Ints{0, 1, 1}}});
    refused("Slice", {x}, {{"starts", Ints{0}}, {"ends", Ints{0}}});
    refused("Slice", {x}, {{"starts", Ints{0}}, {"ends", Ints{2}}, {"steps", Ints{0}}});
    refused("Expand", {x}, {{"shape", Ints{5}}});
    refused("Expand", {x}, {{"shape", Ints{std::int64_t{1} << 60, 1, 1, 1}}});
    refused("Concat", {x, test.parameter({2, 2, 5})}, {{"axis", std::int64_t{1}}});
    refused("Split", {x}, {{"axis", std::int64_t{1}}, {"split", Ints{1, 1}}});
    refused("Gather", {x, x}, {});
    refused("Pad", {x}, {{"pads", Ints{0, 0, -1, 0, 0, 0}}});
    refused("Resize", {x}, {{"scales", Ints{0, 1, 1}}});
    refused("ReduceSum", {x}, {{"axes", Ints{3}}});
    refused("Softmax", {x}, {{"axis", std::int64_t{3}}});
    refused("Squeeze", {x}, {{"axes", Ints{1}}});
    refused("Unsqueeze", {x}, {{"axes", Ints{0, 0}}});
    refused("MatMul", {x, x}, {});
    refused("LayerNormalization", {x, x}, {});
    refused("BatchNormalization", {x, x, x, x, x}, {});
    refused("CausalAttention", {x}, {});
    refused("Dropout", {x}, {{"ratio", 1.0}});
    refused("Constant", {}, {{"shape", Ints{2}}});
}

}  // namespace
}  // namespace starling::compute
