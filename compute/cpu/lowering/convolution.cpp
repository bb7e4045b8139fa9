// Convolutions: every operand in the layout that oneDNN likes best.

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <utility>

#include "compute/cpu/lowering/lowering.hpp"

namespace starling::compute::cpu {

namespace {

constexpr std::array<std::int64_t, 2> kOnes{1, 1};

Window window_of(const Node& node) {
    return *Window::from(node.attributes);
}

/// Returns the weights' shape as the library wants it: in five dimensions when there are groups.
Shape grouped(const Lowering& lowering, ValueId weight) {
    Shape shape = lowering.graph().shape(weight);
    const auto groups = lowering.node().attributes.integer("group", 1);
    if (groups == 1) return shape;
    shape[0] /= groups;
    shape.insert(shape.begin(), groups);
    return shape;
}

/// Returns true when both primitives want the bytes of their images in the same order.
bool same_images(const Compiled& a, const Compiled& b) {
    const std::array arguments{DNNL_ARG_SRC, DNNL_ARG_DST, DNNL_ARG_DIFF_SRC, DNNL_ARG_DIFF_DST};
    return std::all_of(arguments.begin(), arguments.end(), [&](int argument) {
        return !a.has(argument) || canonical(a.desc(argument)) == canonical(b.desc(argument));
    });
}

/// Winograd's algorithm for 3 x 3 taps rounds more, by some units in the sixth digit, which
/// training does not notice.
bool winograd_fits(const Convolution& c) {
    return !c.bf16 && c.weight.size() == 4 && c.weight[2] == 3 && c.weight[3] == 3 &&
           c.window.strides == kOnes && c.window.dilations == kOnes;
}

/// Returns the fastest of up to three primitives: the library's preferred layouts with Winograd's
/// algorithm, the same without it, and channels last where that means the same bytes.
Compiled fastest_convolution(
    Lowering& lowering,
    std::string_view work,
    const Convolution& direct,
    Compiled (*compile)(const Convolution& convolution)
) {
    std::vector<Compiled> candidates;
    candidates.push_back(compile(direct));
    if (!lowering.measures()) return std::move(candidates.front());
    std::vector<Convolution> others;
    if (winograd_fits(direct)) {
        others.push_back(direct);
        others.back().winograd = true;
    }
    if (fills_block(direct.input[1]) && fills_block(direct.output[1])) {
        others.push_back(direct);
        others.back().channels_last = true;
    }
    for (const auto& other : others) {
        try {
            auto compiled = compile(other);
            if (same_images(compiled, candidates.front())) {
                candidates.push_back(std::move(compiled));
            }
        } catch (const dnnl::error&) {
            // The library has no such kernel for this shape or processor; the direct one remains.
        }
    }
    return lowering.fastest_of(work, std::move(candidates));
}

/// Returns the gradient in slices if that is faster, which it is in bf16: there the library's
/// threads wait for each other. With strides the library's way is never taken, because a
/// measurement on an idle machine does not show its worst case.
std::optional<SlicedGradient> faster_in_slices(Lowering& lowering, const Convolution& c) {
    if (!c.bf16 || lowering.threads() == 1) return std::nullopt;
    auto gradient = slice_gradient(c, lowering.threads());
    if (!gradient || c.window.strides != kOnes || !lowering.measures()) return gradient;
    const auto whole = convolution_backward_weight(c);
    const std::array candidates{candidate_of(*gradient), candidate_of(whole)};
    if (lowering.fastest_index("weight gradient, in slices", candidates) != 0) return std::nullopt;
    return gradient;
}

void lower_slices(Lowering& lowering, SlicedGradient gradient) {
    const auto& slice = gradient.slice;
    SlicedGradientKernel::Operands operands;
    operands.dy = lowering.use(lowering.input(0), gradient.dy);
    operands.x = lowering.use(lowering.input(1), gradient.x);
    operands.dw = lowering.define(lowering.output(0), slice.desc(DNNL_ARG_DIFF_WEIGHTS));
    operands.workspace = lowering.temporary(gradient.workspace_bytes());
    std::vector<BufferId> touched{operands.dy, operands.x, operands.dw, operands.workspace};
    if (slice.has(DNNL_ARG_DIFF_BIAS)) {
        operands.db = lowering.define(lowering.output(1), slice.desc(DNNL_ARG_DIFF_BIAS));
        touched.push_back(operands.db);
    }
    const auto& name = lowering.node().name;
    lowering.add_kernel(
        std::make_unique<SlicedGradientKernel>(name, std::move(gradient), operands), touched
    );
}

}  // namespace

void lower_convolution(Lowering& lowering) {
    const auto& node = lowering.node();
    const auto x = lowering.input(0);
    const auto w = lowering.input(1);
    const auto b = lowering.input(2);
    const auto y = lowering.output();
    Convolution c{
        lowering.graph().shape(x),
        grouped(lowering, w),
        lowering.graph().shape(y),
        window_of(node),
        b != ValueId::None,
        node.attributes.integer("fused_relu", 0) != 0,
        lowering.training()};
    c.bf16 = lowering.bf16();
    c.bf16_result = lowering.rounds(y);
    auto compiled = fastest_convolution(lowering, "convolution", c, convolution_forward);
    std::vector<PrimitiveKernel::Operand> operands{
        {DNNL_ARG_SRC, lowering.use(x, compiled.desc(DNNL_ARG_SRC))},
        {DNNL_ARG_WEIGHTS, lowering.use(w, compiled.desc(DNNL_ARG_WEIGHTS))},
    };
    if (c.bias) operands.push_back({DNNL_ARG_BIAS, lowering.use(b, compiled.desc(DNNL_ARG_BIAS))});
    operands.push_back({DNNL_ARG_DST, lowering.define(y, compiled.desc(DNNL_ARG_DST))});
    lowering.add_primitive(node.name, std::move(compiled), std::move(operands));
}

void lower_convolution_gradient_input(Lowering& lowering) {
    const auto dy = lowering.input(0);
    const auto w = lowering.input(1);
    const auto dx = lowering.output();
    Convolution c;
    c.input = lowering.graph().shape(dx);
    c.weight = grouped(lowering, w);
    c.output = lowering.graph().shape(dy);
    c.window = window_of(lowering.node());
    c.bf16 = lowering.bf16();
    c.bf16_result = lowering.rounds(dx);
    auto compiled = fastest_convolution(lowering, "input gradient", c, convolution_backward_input);
    std::vector<PrimitiveKernel::Operand> operands{
        {DNNL_ARG_DIFF_DST, lowering.use(dy, compiled.desc(DNNL_ARG_DIFF_DST))},
        {DNNL_ARG_WEIGHTS, lowering.use(w, compiled.desc(DNNL_ARG_WEIGHTS))},
        {DNNL_ARG_DIFF_SRC, lowering.define(dx, compiled.desc(DNNL_ARG_DIFF_SRC))},
    };
    lowering.add_primitive(lowering.node().name, std::move(compiled), std::move(operands));
}

void lower_convolution_gradient_weight(Lowering& lowering) {
    const auto dy = lowering.input(0);
    const auto x = lowering.input(1);
    const auto dw = lowering.output(0);
    const auto db = lowering.output(1);
    Convolution c;
    c.input = lowering.graph().shape(x);
    c.weight = grouped(lowering, dw);
    c.output = lowering.graph().shape(dy);
    c.window = window_of(lowering.node());
    c.bf16 = lowering.bf16();
    c.bias = lowering.is_read(db);
    if (auto gradient = faster_in_slices(lowering, c)) {
        return lower_slices(lowering, std::move(*gradient));
    }
    auto compiled =
        fastest_convolution(lowering, "weight gradient", c, convolution_backward_weight);
    std::vector<PrimitiveKernel::Operand> operands{
        {DNNL_ARG_SRC, lowering.use(x, compiled.desc(DNNL_ARG_SRC))},
        {DNNL_ARG_DIFF_DST, lowering.use(dy, compiled.desc(DNNL_ARG_DIFF_DST))},
        {DNNL_ARG_DIFF_WEIGHTS, lowering.define(dw, compiled.desc(DNNL_ARG_DIFF_WEIGHTS))},
    };
    if (c.bias) {
        operands.push_back(
            {DNNL_ARG_DIFF_BIAS, lowering.define(db, compiled.desc(DNNL_ARG_DIFF_BIAS))}
        );
    }
    lowering.add_primitive(lowering.node().name, std::move(compiled), std::move(operands));
}

}  // namespace starling::compute::cpu
