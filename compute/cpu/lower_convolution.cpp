// Convolutions: every operand in the layout that oneDNN likes best.

#include <array>

#include "compute/cpu/lowering.hpp"

namespace starling::compute::cpu {

namespace {

Window window_of(const Node& node) {
    return *Window::from(node.attributes);
}

/// The library wants the weights of groups in five dimensions.
Shape grouped(const Lowering& lowering, ValueId weight) {
    Shape shape = lowering.graph().shape(weight);
    const auto groups = lowering.node().attributes.integer("group", 1);
    if (groups == 1) return shape;
    shape[0] /= groups;
    shape.insert(shape.begin(), groups);
    return shape;
}

/// Winograd's algorithm for 3 x 3 taps, where it is faster here. It rounds more, by some units in
/// the sixth digit, which training does not notice.
Compiled fastest_convolution(
    Lowering& lowering,
    std::string_view work,
    Convolution c,
    Compiled (*compile)(const Convolution& convolution)
) {
    std::vector<Compiled> candidates;
    candidates.push_back(compile(c));
    const std::array<std::int64_t, 2> one{1, 1};
    const bool fits = c.weight.size() == 4 && c.weight[2] == 3 && c.weight[3] == 3 &&
                      c.window.strides == one && c.window.dilations == one && lowering.measures() &&
                      !c.bf16;
    if (fits) {
        c.winograd = true;
        try {
            candidates.push_back(compile(c));
        } catch (const dnnl::error&) {
            // No such kernel for this shape or processor: the direct one stays.
        }
    }
    return lowering.fastest_of(work, std::move(candidates));
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
