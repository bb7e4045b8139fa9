// Goal: no operator is forgotten on cards, and one without a kernel is refused with its name.
// Attention keeps little. Method: the list of all operators; views by hand; a lowered graph.

#include "compute/gpu/lowering.hpp"

#include <algorithm>
#include <array>
#include <gtest/gtest.h>

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
