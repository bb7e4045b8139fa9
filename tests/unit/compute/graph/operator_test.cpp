// Goal: every operator computes the same in the CPU plan as in the naive reference, forward and
// backward, and the reference's gradients are the true ones.
// Method: random small shapes under a loss; the reference is checked by central differences in
// double precision, the plan against the reference. The seed of a failure is in its trace.

#include "compute/graph/operator.hpp"

#include <string>

#include "tests/unit/compute/support/operator_check.hpp"

namespace starling::compute {
namespace {

Attributes random_window(Rng& rng, std::int64_t kernel_low, bool dilated) {
    const auto kernel = draw(rng, kernel_low, 3);
    const auto other = draw(rng, kernel_low, 3);
    const auto pad = draw(rng, 0, kernel - 1);
    const auto dilation = dilated ? draw(rng, 1, 2) : 1;
    return {
        {"kernel_shape", Ints{kernel, other}},
        {"strides", Ints{draw(rng, 1, 2), draw(rng, 1, 2)}},
        {"dilations", Ints{dilation, dilation}},
        {"pads", Ints{pad, 0, draw(rng, 0, kernel - 1), other - 1}}};
}

TEST(Operator, ConvolutionMatchesTheReference) {
    check_operator([](TestGraph& test, Rng& rng) {
        const auto window = random_window(rng, 1, true);
        const auto kernel = window.integers("kernel_shape", {});
        const auto channels = draw(rng, 1, 20);
        const auto outputs = draw(rng, 1, 20);
        const auto x =
            test.parameter({draw(rng, 1, 3), channels, draw(rng, 5, 9), draw(rng, 5, 9)});
        const auto w = test.parameter({outputs, channels, kernel[0], kernel[1]});
        if (rng.chance(0.3)) return test.add("Conv", {x, w}, window);
        return test.add("Conv", {x, w, test.parameter({outputs})}, window);
    });
}

TEST(Operator, ConvolutionWithReluAndPoolMatchesTheReference) {
    check_operator([](TestGraph& test, Rng& rng) {
        const auto channels = draw(rng, 1, 3);
        const auto outputs = draw(rng, 2, 20);
        const auto x = test.parameter({2, channels, 8, 8});
        const auto w = test.parameter({outputs, channels, 3, 3});
        const auto b = test.parameter({outputs});
        const Attributes same{{"kernel_shape", Ints{3, 3}}, {"pads", Ints{1, 1, 1, 1}}};
        const auto y = test.add("Relu", {test.add("Conv", {x, w, b}, same)});
        const Attributes halve{{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}};
        return test.add("MaxPool", {y}, halve);
    });
}

TEST(Operator, MaxPoolMatchesTheReference) {
    check_operator([](TestGraph& test, Rng& rng) {
        const auto x = test.parameter({2, draw(rng, 1, 20), draw(rng, 4, 9), draw(rng, 4, 9)});
        return test.add("MaxPool", {x}, random_window(rng, 2, false));
    });
}

TEST(Operator, MaxPoolOfWindowsSideBySideMatchesTheReference) {
    check_operator([](TestGraph& test, Rng& rng) {
        auto x = test.parameter({2, draw(rng, 2, 9), draw(rng, 7, 9), draw(rng, 7, 9)});
        if (rng.chance(0.5)) {
            const auto channels = test.graph.shape(x)[1];
            const auto w = test.parameter({draw(rng, 2, 20), channels, 2, 2});
            x = test.add("Conv", {x, w}, {{"kernel_shape", Ints{2, 2}}});
        }
        const Ints kernel{draw(rng, 1, 3), draw(rng, 2, 3)};
        return test.add("MaxPool", {x}, {{"kernel_shape", kernel}, {"strides", kernel}});
    });
}

TEST(Operator, AveragePoolMatchesTheReference) {
    check_operator([](TestGraph& test, Rng& rng) {
        const auto x = test.parameter({2, draw(rng, 1, 20), draw(rng, 4, 9), draw(rng, 4, 9)});
        auto window = random_window(rng, 2, false);
        window.set("count_include_pad", draw(rng, 0, 1));
        return test.add("AveragePool", {x}, window);
    });
}

TEST(Operator, GlobalAveragePoolMatchesTheReference) {
    check_operator([](TestGraph& test, Rng& rng) {
        const auto x = test.parameter({2, draw(rng, 2, 20), draw(rng, 1, 9), draw(rng, 1, 9)});
        return test.add("GlobalAveragePool", {x});
    });
}

TEST(Operator, GemmMatchesTheReferenceInEveryOrientation) {
    for (int orientation = 0; orientation < 4; ++orientation) {
        SCOPED_TRACE("orientation " + std::to_string(orientation));
        check_operator([&](TestGraph& test, Rng& rng) {
            const auto n = draw(rng, 1, 20);
            const auto k = draw(rng, 1, 40);
            const auto o = draw(rng, 2, 20);
            const bool swap_a = orientation % 2 == 1;
            const bool swap_b = orientation / 2 == 1;
            const Attributes attributes{
                {"transA", std::int64_t{swap_a}}, {"transB", std::int64_t{swap_b}}};
            const auto a = test.parameter(swap_a ? Shape{k, n} : Shape{n, k});
            const auto b = test.parameter(swap_b ? Shape{o, k} : Shape{k, o});
            // Behind an Add the operand is no parameter: the plan reads it strided, not packed.
            const auto both = test.add("Add", {b, b});
            const auto factor = rng.chance(0.5) ? b : both;
            if (swap_a) return test.add("Gemm", {a, factor}, attributes);
            return test.add("Gemm", {a, factor, test.parameter({o})}, attributes);
        });
    }
}

TEST(Operator, MatMulMatchesTheReference) {
    check_operator([](TestGraph& test, Rng& rng) {
        const auto k = draw(rng, 1, 40);
        const auto a = test.parameter({draw(rng, 1, 20), k});
        return test.add("MatMul", {a, test.parameter({k, draw(rng, 2, 20)})});
    });
}

TEST(Operator, ElementwiseChainsMatchTheReference) {
    check_operator([](TestGraph& test, Rng& rng) {
        const Shape shape{draw(rng, 1, 9), draw(rng, 2, 9)};
        const auto a = test.parameter(shape);
        const auto b = test.parameter(shape);
        const auto sum = test.add("Add", {a, test.add("Relu", {b})});
        const auto kept = test.add("Identity", {sum});
        return test.add("Add", {test.add("Relu", {kept}), sum});
    });
}

TEST(Operator, ReshapesMatchTheReference) {
    check_operator([](TestGraph& test, Rng& rng) {
        const auto x = test.parameter({2, draw(rng, 1, 4), 4, 6});
        const auto relu = test.add("Relu", {x});
        const auto wide = test.add("Reshape", {relu}, {{"shape", Ints{0, -1, 8}}});
        return test.add("Add", {wide, test.add("Identity", {wide})});
    });
}

TEST(Operator, OneValueMayBeTheGradientOfTwoParameters) {
    check_operator([](TestGraph& test, Rng& rng) {
        const Shape shape{draw(rng, 1, 9), draw(rng, 2, 9)};
        return test.add("Add", {test.parameter(shape), test.parameter(shape)});
    });
}

TEST(Operator, WideScoresMatchTheReferenceOnTwoThreads) {
    TestGraph test;
    test.finish(test.add("Relu", {test.parameter({40, 1000})}));
    expect_plan_matches(test, 3, 2);
}

TEST(Operator, EveryOperatorHasADocLine) {
    for (const auto* op : all_operators()) {
        EXPECT_FALSE(op->doc.empty()) << op->name;
        EXPECT_EQ(find_operator(op->name), op);
    }
}

TEST(Operator, OperandsThatDoNotFitAreRefusedWithASentence) {
    TestGraph test;
    const auto x = test.parameter({2, 3, 4, 4});
    const auto w = test.parameter({8, 2, 3, 3});
    const auto matrix = test.parameter({2, 5});
    EXPECT_FALSE(test.graph.add("Conv", {x, w}, {{"kernel_shape", Ints{3, 3}}}).has_value());
    EXPECT_FALSE(test.graph.add("MaxPool", {x}, {{"kernel_shape", Ints{5, 5}}}).has_value());
    EXPECT_FALSE(test.graph.add("MaxPool", {x}, {{"kernel_shape", Ints{0, 5}}}).has_value());
    EXPECT_FALSE(test.graph.add("Gemm", {matrix, matrix}).has_value());
    EXPECT_FALSE(test.graph.add("Gemm", {matrix}).has_value());
    EXPECT_FALSE(test.graph.add("Add", {matrix, x}).has_value());
    EXPECT_FALSE(test.graph.add("Reshape", {x}, {{"shape", Ints{-1, 7}}}).has_value());
    EXPECT_FALSE(test.graph.add("Reshape", {x}, {{"shape", Ints{-1, -1}}}).has_value());
    const auto unknown = test.graph.add("Teleport", {x});
    ASSERT_FALSE(unknown.has_value());
    EXPECT_EQ(unknown.error().message, "operator 'Teleport' is not supported");
}

}  // namespace
}  // namespace starling::compute
