// Convolutions: every operand in the layout that oneDNN likes best.

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
    auto compiled = convolution_forward(c);
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
    auto compiled = convolution_backward_input(c);
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
    c.bias = lowering.is_read(db);
    auto compiled = convolution_backward_weight(c);
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
