// Goal: a loop gives the same numbers, up to rounding, for each instruction set; attention is right
// for every remainder of its tiles' rows, columns and lanes; and every primitive that a measurement
// may choose computes the same.
// Method: the same operator graphs against the reference, with the wider builds switched off, and
// under a clock that lets the last candidate win.

#include <gtest/gtest.h>

#include "base/simd.hpp"
#include "tests/unit/compute/support/graph_fixture.hpp"

namespace starling::compute {
namespace {

/// Limits what vectorized() uses until destroyed.
class Limit {
public:
    explicit Limit(Isa widest) { limit_isa(widest); }

    Limit(const Limit&) = delete;
    Limit& operator=(const Limit&) = delete;

    ~Limit() { limit_isa(best_isa()); }
};

TestGraph attention_graph(std::int64_t tokens, std::int64_t heads, std::int64_t width) {
    TestGraph test;
    const auto x = test.parameter({2, tokens, 3 * heads * width});
    const auto y = test.add("CausalAttention", {x}, {{"heads", heads}});
    const auto scale = test.parameter({heads * width});
    const auto bias = test.parameter({heads * width});
    const auto z = test.add("LayerNormalization", {y, scale, bias}, {{"axis", std::int64_t{-1}}});
    test.finish(test.add("Gelu", {z}));
    return test;
}

TestGraph pooled_graph() {
    TestGraph test;
    const Shape window{2, 2};
    const auto x = test.add("Relu", {test.parameter({2, 16, 8, 8})});
    const auto pooled = test.add("MaxPool", {x}, {{"kernel_shape", window}, {"strides", window}});
    test.finish(test.add("Add", {pooled, test.parameter({1, 16, 1, 1})}));
    return test;
}

TEST(Isa, EveryBuildOfTheLoopsMatchesTheReference) {
    for (const auto isa : {Isa::Baseline, Isa::Avx2, Isa::Avx512}) {
        SCOPED_TRACE("instruction set " + std::to_string(static_cast<int>(isa)));
        const Limit limit(isa);
        expect_plan_matches(attention_graph(20, 2, 24), 1, 2);
        expect_plan_matches(pooled_graph(), 2, 1);
    }
}

TEST(Isa, AttentionMeetsEveryRestOfItsTiles) {
    // Below, at and above a tile's rows, a vector's lanes, and a block of query rows.
    for (const std::int64_t tokens : {1, 5, 6, 7, 16, 17, 31, 95, 96, 97, 200}) {
        for (const std::int64_t width : {3, 15, 16, 33, 64, 80}) {
            SCOPED_TRACE(std::to_string(tokens) + " tokens, width " + std::to_string(width));
            expect_plan_matches(attention_graph(tokens, 1, width), 3, 2, 5e-5);
        }
    }
}

TEST(Isa, ALimitNeverWidensWhatTheProcessorHas) {
    const Limit limit(Isa::Avx512);
    EXPECT_LE(used_isa(), best_isa());
}

/// Each interval is shorter than the one before, so whatever is measured last seems fastest.
double hastening_clock() {
    static double now = 0.0;
    static double interval = 1e6;
    interval *= 0.9;
    return now += interval;
}

TEST(Choice, TheLastCandidatesOfConvolutionsAndProductsMatchTheReference) {
    TestGraph test;
    const Shape around{1, 1, 1, 1};
    const auto x = test.add("Relu", {test.parameter({2, 16, 10, 10})});
    const auto w = test.parameter({16, 16, 3, 3});
    const auto y = test.add(
        "Conv", {x, w, test.parameter({16})}, {{"kernel_shape", Shape{3, 3}}, {"pads", around}}
    );
    const auto flat = test.add("Flatten", {test.add("Relu", {y})});
    const auto matrix = test.parameter({12, 1600});
    const Attributes turned{{"transB", std::int64_t{1}}};
    const auto z = test.add("Gemm", {flat, matrix, test.parameter({12})}, turned);
    test.finish(test.add("Relu", {z}));
    // Winograd's sums round in the sixth digit.
    expect_plan_matches(test, 4, 2, 2e-4, hastening_clock);
}

}  // namespace
}  // namespace starling::compute
