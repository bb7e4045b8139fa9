// Goal: no operator is forgotten on cards, and one without a kernel is refused with its name.
// Attention keeps little. Method: the list of all operators; views by hand; a lowered graph.

#include "compute/gpu/lowering.hpp"

#include <algorithm>
#include <array>
#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "compute/gpu/kernels.hpp"
#include "compute/graph/operator.hpp"
#include "tests/unit/compute/support/graph_fixture.hpp"

namespace starling::compute::gpu {
namespace {

/// Operators of the detector, whose loss no card computes yet: --device auto takes the CPU for it.
constexpr std::array<std::string_view, 2> kCpuOnly{"CentrePointLoss", "CentrePointGrad"};

TEST(GpuLowering, EveryOperatorIsLoweredExpandedOrListed) {
    for (const auto* op : all_operators()) {
        const bool listed = std::find(kCpuOnly.begin(), kCpuOnly.end(), op->name) != kCpuOnly.end();
        EXPECT_NE(lowers(op->name) || op->expand != nullptr, listed) << op->name;
    }
}

TEST(GpuLowering, AttentionKeepsANumberForEachRowAndNotItsWeights) {
    constexpr std::int64_t kTokens = 300;
    constexpr std::int64_t kHeads = 2;
    TestGraph test;
    const auto x = test.parameter({2, kTokens, 3 * kHeads * 4});
    test.finish(test.add("CausalAttention", {x}, {{"heads", kHeads}}));
    const ParameterLayout layout(test.graph.parameters());
    const PlanRequest request{test.graph, {test.loss}, test.gradients, 1};
    const auto lowered = Lowering(request, layout).run();
    std::size_t rows = 0;
    for (const auto& buffer : lowered.buffers) {
        EXPECT_LT(buffer.bytes, sizeof(float) * 2 * kHeads * kTokens * kTokens);
        rows += buffer.bytes == sizeof(float) * 2 * kHeads * kTokens ? 1U : 0U;
    }
    EXPECT_EQ(rows, 2U) << "totals for the gradient, and sums of the gradient itself";
}

/// The kernels of a net with each product there is, and with much else.
std::vector<std::string> kernels_in(Precision precision) {
    using Axes = std::vector<std::int64_t>;
    const Attributes first{{"axes", Axes{0}}};
    TestGraph test;
    const auto weights = test.parameter({5, 3, 3, 3});
    auto x = test.parameter({4, 3, 6, 6});
    x = test.add("Relu", {test.add("Conv", {x, weights}, {{"kernel_shape", Axes{3, 3}}})});
    x = test.add(
        "Gemm", {test.add("Flatten", {x}), test.parameter({80, 12}), test.parameter({12})}
    );
    const auto tokens = test.add("Reshape", {x}, {{"shape", Axes{1, 4, 12}}});
    x = test.add("CausalAttention", {tokens}, {{"heads", std::int64_t{2}}});
    test.finish(test.add("MatMul", {x, test.parameter({4, 3})}));
    const ParameterLayout layout(test.graph.parameters());
    const PlanRequest request{test.graph, {test.loss}, test.gradients, 1, precision};
    std::vector<std::string> kernels;
    for (const auto& step : Lowering(request, layout).run().steps) {
        kernels.emplace_back(step.launch.kernel);
    }
    return kernels;
}

TEST(GpuLowering, InBf16EachProductIsAnotherKernelAndNothingElseIs) {
    const auto exact = kernels_in(Precision::F32);
    const auto rounded = kernels_in(Precision::Bf16);
    ASSERT_EQ(exact.size(), rounded.size());
    int products = 0;
    for (std::size_t i = 0; i < exact.size(); ++i) {
        const bool product = exact[i] == "product" || exact[i].starts_with("convolution");
        products += product ? 1 : 0;
        EXPECT_EQ(rounded[i], product ? exact[i] + "_bf16" : exact[i]);
    }
    EXPECT_EQ(products, 9) << "a convolution, Gemm and MatMul, each with two slopes";
}

TEST(KernelViews, AxesThatLieOneBehindTheOtherAreJoined) {
    const auto dense = kernel_view(whole_view({2, 3, 1, 5}));
    EXPECT_EQ(dense.rank, 1);
    EXPECT_EQ(dense.shape[0], 30);
    EXPECT_EQ(dense.strides[0], 1);
    const auto swapped = kernel_view({{3, 2}, {1, 3}, 4});
    EXPECT_EQ(swapped.rank, 2);
    EXPECT_EQ(swapped.offset, 4);
    EXPECT_EQ(kernel_view(whole_view({})).rank, 0);
    EXPECT_EQ(kernel_view(whole_view({1, 1})).rank, 0);
    const auto repeated = kernel_view(broadcast_view({5}, {4, 5}));
    EXPECT_EQ(repeated.rank, 2);
    EXPECT_EQ(repeated.strides[0], 0);
    EXPECT_EQ(kernel_view(broadcast_view({1}, {4, 5})).rank, 1);
}

TEST(KernelViews, TooManyAxesAndTooManyElementsAreRefused) {
    View wide{Shape(9, 2), std::vector<std::int64_t>(9, 3), 0};
    EXPECT_THROW((void)kernel_view(wide), std::runtime_error);
    EXPECT_THROW((void)kernel_view({{1 << 20, 1 << 20}, {1 << 20, 1}, 0}), std::runtime_error);
}

}  // namespace
}  // namespace starling::compute::gpu
