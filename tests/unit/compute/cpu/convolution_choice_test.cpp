// Goal: every way in which a plan may compute a convolution or its gradients, above all the one in
// slices of the batch, computes what the reference does.
// Method: plans that must not measure, and plans whose clock makes the last candidate win. The
// plan's description shows which one was taken.

#include <string>

#include "compute/cpu/device.hpp"
#include "compute/cpu/library/sliced_gradient.hpp"
#include "tests/unit/compute/support/operator_check.hpp"

namespace starling::compute {
namespace {

struct Net {
    std::int64_t batch = 4;
    std::int64_t channels = 16;
    std::int64_t outputs = 16;
    std::int64_t stride = 1;
    std::int64_t group = 1;
    bool bias = false;
};

/// A convolution between two others, so that it has an input's gradient and blocked neighbours.
TestGraph graph_of(const Net& net) {
    TestGraph test;
    const Shape around{1, 1, 1, 1};
    auto x = test.parameter({net.batch, 3, 9, 8});
    x = test.add(
        "Conv",
        {x, test.parameter({net.channels, 3, 3, 3})},
        {{"kernel_shape", Shape{3, 3}}, {"pads", around}}
    );
    std::vector<ValueId> inputs{
        test.add("Relu", {x}), test.parameter({net.outputs, net.channels / net.group, 3, 3})};
    if (net.bias) inputs.push_back(test.parameter({net.outputs}));
    x = test.add(
        "Conv",
        inputs,
        {{"kernel_shape", Shape{3, 3}},
         {"pads", around},
         {"strides", Shape{net.stride, net.stride}},
         {"group", net.group}}
    );
    x = test.add(
        "Conv",
        {test.add("Relu", {x}), test.parameter({16, net.outputs, 1, 1})},
        {{"kernel_shape", Shape{1, 1}}}
    );
    test.finish(test.add("GlobalAveragePool", {x}));
    return test;
}

/// Each interval is shorter than the one before, so whatever is measured last seems fastest.
double hastening_clock() {
    static double now = 0.0;
    static double interval = 1e9;
    interval *= 0.97;
    return now += interval;
}

std::string described(
    const TestGraph& test, int threads, Precision precision, Stopwatch stopwatch = nullptr
) {
    TestRun run(test, 1);
    PlanRequest request{test.graph, {test.loss}, test.gradients, threads, precision};
    request.stopwatch = stopwatch;
    const auto plan = cpu_device().compile(std::move(request), run.layout);
    EXPECT_TRUE(plan.has_value()) << plan.error().message;
    return plan ? (*plan)->describe() : "";
}

std::size_t count_of(const std::string& text, const std::string& word) {
    std::size_t count = 0;
    for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++count;
    return count;
}

TEST(SlicedGradient, SlicesOfABatchMatchTheReference) {
    for (const Net net :
         {Net{.batch = 4, .stride = 2, .bias = true},
          Net{.batch = 4, .channels = 32, .bias = true},
          Net{.batch = 6, .channels = 5, .outputs = 9, .stride = 2},
          Net{.batch = 6, .outputs = 32, .stride = 2, .group = 2, .bias = true}}) {
        for (const int threads : {2, 3}) {
            SCOPED_TRACE(
                std::to_string(net.batch) + " images of " + std::to_string(net.channels) + ", " +
                std::to_string(threads) + " threads"
            );
            expect_plan_matches(graph_of(net), 7, threads, 0.15, nullptr, Precision::Bf16);
        }
    }
}

/// On processors with tiles (AMX) the library keeps bf16 images without blocks of channels, which slices need.
bool bf16_has_blocks() {
    cpu::Convolution c;
    c.input = {4, 16, 9, 8};
    c.weight = {16, 16, 3, 3};
    c.output = {4, 16, 5, 4};
    c.window.kernel = {3, 3};
    c.window.strides = {2, 2};
    c.window.pad_begin = {1, 1};
    c.window.pad_end = {1, 1};
    c.bf16 = true;
    return cpu::slice_gradient(c, 2).has_value();
}

TEST(SlicedGradient, ABf16PlanTakesSlicesAndOthersDoNot) {
    if (threads_here(2) == 1) GTEST_SKIP() << "one thread under the thread sanitizer";
    if (!bf16_has_blocks())
        GTEST_SKIP() << "this processor's bf16 images have no blocks of channels";
    const auto test = graph_of({.stride = 2});
    EXPECT_EQ(count_of(described(test, 2, Precision::Bf16), " in 2 slices"), 3U);
    EXPECT_EQ(count_of(described(test, 1, Precision::Bf16), " slices"), 0U);
    EXPECT_EQ(count_of(described(test, 2, Precision::F32), " slices"), 0U);
    // The last candidate of one without strides is the library's own division.
    EXPECT_EQ(count_of(described(test, 2, Precision::Bf16, hastening_clock), " in 2 slices"), 1U);
}

TEST(SlicedGradient, ABatchThatLeavesMostThreadsIdleIsNotSliced) {
    const auto slices = [](std::int64_t batch, int threads) {
        cpu::Convolution c;
        c.input = {batch, 16, 8, 8};
        c.weight = {16, 16, 3, 3};
        c.output = {batch, 16, 6, 6};
        c.window.kernel = {3, 3};
        const auto gradient = cpu::slice_gradient(c, threads);
        return gradient ? gradient->slices : 1;
    };
    EXPECT_EQ(slices(8, 1), 1);
    EXPECT_EQ(slices(8, 2), 2);
    EXPECT_EQ(slices(6, 4), 3);
    EXPECT_EQ(slices(5, 8), 5);
    EXPECT_EQ(slices(7, 6), 1);
    EXPECT_EQ(slices(4, 8), 1);
    EXPECT_EQ(slices(1, 2), 1);
}

TEST(ConvolutionChoice, TheLastCandidatesMatchTheReference) {
    // With 16 channels on both sides it is the kernel for channels last; with 32, Winograd's, whose
    // sums round in the sixth digit; with strides, the first again.
    for (const Net net :
         {Net{.bias = true}, Net{.channels = 32, .outputs = 32, .bias = true}, Net{.stride = 2}}) {
        SCOPED_TRACE(std::to_string(net.channels) + " channels");
        expect_plan_matches(graph_of(net), 5, 2, 2e-4, hastening_clock);
    }
    // In bf16 the last candidate for weights is the library's own division among threads.
    expect_plan_matches(graph_of({}), 5, 2, 0.15, hastening_clock, Precision::Bf16);
}

TEST(ConvolutionChoice, ChannelsLastCostsNoReorder) {
    const auto test = graph_of({.bias = true});
    const auto measured = described(test, 2, Precision::F32, hastening_clock);
    const auto direct = described(test, 2, Precision::F32);
    EXPECT_LE(count_of(measured, "Reorder"), count_of(direct, "Reorder")) << measured << direct;
}

}  // namespace
}  // namespace starling::compute
