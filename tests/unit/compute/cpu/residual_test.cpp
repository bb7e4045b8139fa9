// Goal: batch norms fused with their neighbours in residual nets compute, in every layout and both
// precisions, what the operators compute one by one; a bf16 plan keeps its activations in bf16.
// Method: small nets against the reference, which runs the graph before any pass; roundings of
// single floats against their definition.

#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <string>

#include "compute/cpu/device.hpp"
#include "compute/simd/strips.hpp"
#include "tests/unit/compute/support/operator_check.hpp"

namespace starling::compute {
namespace {

ValueId batch_norm(TestGraph& test, ValueId x) {
    const auto channels = test.graph.shape(x)[1];
    const auto scale = test.parameter({channels});
    const auto bias = test.parameter({channels});
    const auto mean = test.buffer({channels});
    const auto variance = test.buffer({channels});
    const Attributes training{{"training_mode", std::int64_t{1}}, {"epsilon", 1e-2}};
    return test.add("BatchNormalization", {x, scale, bias, mean, variance}, training);
}

ValueId convolution(TestGraph& test, ValueId x, std::int64_t channels, std::int64_t side) {
    const auto w = test.parameter({channels, test.graph.shape(x)[1], side, side});
    const auto pad = side / 2;
    return test.add(
        "Conv", {x, w}, {{"kernel_shape", Ints{side, side}}, {"pads", Ints{pad, pad, pad, pad}}}
    );
}

/// Two blocks of a residual net, the first with a convolution as its shortcut: a norm that adds it,
/// one that cuts itself, slopes that two norms read, and sums of slopes.
TestGraph residual_net(std::uint64_t seed) {
    Rng rng(seed);
    TestGraph test;
    const auto channels = rng.chance(0.5) ? 16 : draw(rng, 2, 20);
    const auto height = draw(rng, 4, 7);
    auto x = test.parameter({3, 4, height, draw(rng, 4, 9)});
    for (int block = 0; block < 2; ++block) {
        auto y = test.add("Relu", {batch_norm(test, convolution(test, x, channels, 3))});
        y = batch_norm(test, convolution(test, y, channels, 3));
        const auto shortcut = block == 0 ? batch_norm(test, convolution(test, x, channels, 1)) : x;
        x = test.add("Relu", {test.add("Add", {y, shortcut})});
    }
    test.finish(test.add("GlobalAveragePool", {x}));
    return test;
}

/// What a bf16 plan must keep in bf16 between two products: a sum of rows for the bias, a function
/// and its slope, a pool.
TestGraph pooled_net(std::int64_t channels) {
    TestGraph test;
    auto x = test.parameter({4, 3, 8, 8});
    x = test.add("Relu", {convolution(test, x, channels, 3)});
    x = test.add("MaxPool", {x}, {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}});
    x = test.add("Flatten", {test.add("Relu", {convolution(test, x, channels, 3)})});
    const Attributes turned{{"transB", std::int64_t{1}}};
    x = test.add("Gemm", {x, test.parameter({24, 16 * channels}), test.parameter({24})}, turned);
    x = test.add("Gelu", {x});
    x = test.add("Gemm", {x, test.parameter({16, 24}), test.parameter({16})}, turned);
    x = test.add("LayerNormalization", {x, test.parameter({16}), test.parameter({16})});
    test.finish(test.add("Gemm", {x, test.parameter({5, 16}), test.parameter({5})}, turned));
    return test;
}

/// `tolerance` is what bf16 leaves of a gradient after that many norms over few values, which
/// amplify any rounding.
void expect_bf16_matches(const TestGraph& test, std::uint64_t seed, double tolerance) {
    const int threads = 1 + static_cast<int>(seed % 2);
    expect_plan_matches(test, seed, threads, tolerance, nullptr, Precision::Bf16);
}

TEST(Residual, BlocksMatchTheReference) {
    for (std::uint64_t seed = 1; seed <= 8; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        expect_plan_matches(residual_net(seed), seed, 1 + static_cast<int>(seed % 2), 2e-4);
    }
}

TEST(Residual, BlocksInBf16AreNearTheReference) {
    for (std::uint64_t seed = 1; seed <= 8; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        expect_bf16_matches(residual_net(seed), seed, 0.7);
    }
}

TEST(Residual, PoolsFunctionsAndProductsInBf16AreNearTheReference) {
    for (const std::int64_t channels : {3, 16, 20}) {
        SCOPED_TRACE(std::to_string(channels) + " channels");
        expect_bf16_matches(pooled_net(channels), static_cast<std::uint64_t>(channels), 0.3);
    }
}

TEST(Residual, ABatchNormOfMatricesAndOfRowMajorImagesMatchesTheReference) {
    check_operator(
        [](TestGraph& test, Rng& rng) {
            const auto channels = draw(rng, 1, 40);
            const auto x = rng.chance(0.5) ? test.parameter({draw(rng, 3, 9), channels})
                                           : test.parameter({2, channels, 3, draw(rng, 1, 30)});
            return test.add("Relu", {batch_norm(test, x)});
        },
        1e-4
    );
}

TEST(Residual, ABatchNormFarFromZeroKeepsItsVariance) {
    // About 1000, with a deviation below one: squares of floats there are a sixteenth apart, so a
    // plain mean of squares would leave noise.
    TestGraph test;
    const auto far = test.add("Add", {test.parameter({4, 3, 5, 7}), test.constant({1000.0})});
    test.finish(batch_norm(test, far));
    expect_plan_matches(test, 1, 1, 1e-3);
}

TEST(Residual, NoActivationOfABf16PlanIsReorderedBetweenBlocks) {
    const auto test = residual_net(1);
    TestRun run(test, 1);
    PlanRequest request{test.graph, {test.loss}, test.gradients, 1, Precision::Bf16};
    const auto plan = cpu_device().compile(std::move(request), run.layout);
    ASSERT_TRUE(plan.has_value()) << plan.error().message;
    // The images, the weights' gradients (6 convolutions), the pool's input, its output and their
    // slopes; not one for each convolution's operands.
    const auto text = (*plan)->describe();
    std::size_t reorders = 0;
    for (auto at = text.find("Reorder"); at != std::string::npos; at = text.find("Reorder", at + 1))
        ++reorders;
    EXPECT_LE(reorders, 14U) << text;
}

TEST(Strips, FloatsRoundToTheNearestBfloatTiesToEven) {
    const auto round_trip = [](float x) { return widened(narrowed(x)); };
    EXPECT_EQ(round_trip(1.0F), 1.0F);
    // One has neighbours 1 + 2^-7 and 1 + 2^-6 above it.
    EXPECT_EQ(round_trip(1.0F + 0x1p-8F), 1.0F);
    EXPECT_EQ(round_trip(1.0F + 0x1.8p-7F), 1.0F + 0x1p-6F);
    EXPECT_EQ(round_trip(1.0F + 0x1.02p-8F), 1.0F + 0x1p-7F);
    EXPECT_EQ(round_trip(-1.0F - 0x1.02p-8F), -1.0F - 0x1p-7F);
    EXPECT_EQ(round_trip(3.4e38F), HUGE_VALF);
    EXPECT_EQ(round_trip(-HUGE_VALF), -HUGE_VALF);
    EXPECT_TRUE(std::isnan(round_trip(std::numeric_limits<float>::quiet_NaN())));
    EXPECT_TRUE(std::isnan(round_trip(std::bit_cast<float>(0x7FFFFFFFU))));
    EXPECT_TRUE(std::isnan(round_trip(std::bit_cast<float>(0xFF800001U))));
}

TEST(Strips, TheProcessorsOwnRoundingIsOurs) {
    Rng rng(1);
    std::vector<float> x(1000);
    for (auto& value : x) {
        const auto bits = static_cast<std::uint32_t>(rng.below(std::uint64_t{1} << 32U));
        value = std::bit_cast<float>(bits);
        if (std::fpclassify(value) == FP_SUBNORMAL || std::isnan(value)) value = 0.5F;
    }
    std::vector<std::uint16_t> y(x.size());
    narrow(x.data(), y.data(), x.size());
    for (std::size_t i = 0; i < x.size(); ++i) EXPECT_EQ(y[i], narrowed(x[i])) << x[i];
}

TEST(Strips, ALoopSeesAllElementsOnceWhateverTheTypes) {
    // More than a strip, and enough for two threads.
    constexpr std::size_t kCount = 40000;
    std::vector<float> a(kCount);
    std::vector<std::uint16_t> b(kCount);
    std::vector<std::uint16_t> sums(kCount + 1, 7);
    for (std::size_t i = 0; i < kCount; ++i) {
        a[i] = static_cast<float>(i % 64);
        b[i] = narrowed(static_cast<float>(i % 3));
    }
    const auto bytes = [](auto& all) { return reinterpret_cast<std::byte*>(all.data()); };
    over_strips<2>(
        threads_here(2),
        kCount,
        {Source{bytes(a), false}, Source{bytes(b), true}},
        Sink{bytes(sums), true},
        [](const auto& in, float* out, std::size_t count) {
            for (std::size_t i = 0; i < count; ++i) out[i] = in[0][i] + in[1][i];
        }
    );
    for (std::size_t i = 0; i < kCount; ++i) {
        ASSERT_EQ(widened(sums[i]), static_cast<float>(i % 64 + i % 3)) << i;
    }
    EXPECT_EQ(sums[kCount], 7);
}

}  // namespace
}  // namespace starling::compute
