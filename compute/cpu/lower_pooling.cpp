// Pooling: takes its input as it comes, so that the layout of a convolution flows through.

#include "compute/cpu/lowering.hpp"
#include "compute/ops/operator.hpp"

namespace starling::compute::cpu {

namespace {

PoolKind average_kind(const Node& node) {
    return node.attributes.integer("count_include_pad", 0) != 0 ? PoolKind::AveragePadded
                                                                : PoolKind::AverageInside;
}

Window window_of(const Lowering& lowering) {
    const auto& node = lowering.node();
    if (node.op->name != "GlobalAveragePool") return *Window::from(node.attributes);
    const auto& x = lowering.graph().shape(lowering.input(0));
    Window whole;
    whole.kernel = {x[2], x[3]};
    return whole;
}

Pooling pooling_of(const Lowering& lowering, PoolKind kind, const Desc& input, ValueId output) {
    Pooling p;
    p.kind = kind;
    p.input = input;
    p.output = lowering.graph().shape(output);
    p.window = window_of(lowering);
    return p;
}

}  // namespace

void lower_max_pool(Lowering& lowering) {
    const auto x = lowering.input(0);
    const auto y = lowering.output(0);
    const auto indices = lowering.output(1);
    auto p = pooling_of(lowering, PoolKind::Max, lowering.layout_of(x), y);
    p.training = lowering.is_read(indices);
    auto compiled = pooling_forward(p);
    std::vector<PrimitiveKernel::Operand> operands{
        {DNNL_ARG_SRC, lowering.use(x, p.input)},
        {DNNL_ARG_DST, lowering.define(y, compiled.desc(DNNL_ARG_DST))},
    };
    if (p.training) {
        lowering.remember_pool(indices, p.input, compiled.desc(DNNL_ARG_DST));
        operands.push_back(
            {DNNL_ARG_WORKSPACE, lowering.define(indices, compiled.desc(DNNL_ARG_WORKSPACE))}
        );
    }
    lowering.add_primitive(lowering.node().name, std::move(compiled), std::move(operands));
}

void lower_max_pool_gradient(Lowering& lowering) {
    const auto dy = lowering.input(0);
    const auto indices = lowering.input(1);
    const auto dx = lowering.output();
    const auto& [input, output] = lowering.recall_pool(indices);
    auto p = pooling_of(lowering, PoolKind::Max, input, dy);
    p.training = true;
    auto compiled = pooling_backward(p, output);
    std::vector<PrimitiveKernel::Operand> operands{
        {DNNL_ARG_DIFF_DST, lowering.use(dy, compiled.desc(DNNL_ARG_DIFF_DST))},
        {DNNL_ARG_WORKSPACE, lowering.use(indices, compiled.desc(DNNL_ARG_WORKSPACE))},
        {DNNL_ARG_DIFF_SRC, lowering.define(dx, compiled.desc(DNNL_ARG_DIFF_SRC))},
    };
    lowering.add_primitive(lowering.node().name, std::move(compiled), std::move(operands));
}

void lower_average_pool(Lowering& lowering) {
    const auto x = lowering.input(0);
    const auto y = lowering.output();
    auto p = pooling_of(lowering, average_kind(lowering.node()), lowering.layout_of(x), y);
    auto compiled = pooling_forward(p);
    std::vector<PrimitiveKernel::Operand> operands{
        {DNNL_ARG_SRC, lowering.use(x, p.input)},
        {DNNL_ARG_DST, lowering.define(y, compiled.desc(DNNL_ARG_DST))},
    };
    lowering.add_primitive(lowering.node().name, std::move(compiled), std::move(operands));
}

void lower_average_pool_gradient(Lowering& lowering) {
    const auto dy = lowering.input(0);
    const auto dx = lowering.output();
    const auto& shape = lowering.graph().shape(dx);
    auto p = pooling_of(lowering, average_kind(lowering.node()), plain(shape), dy);
    p.training = true;
    auto compiled = pooling_backward(p, plain(lowering.graph().shape(dy)));
    std::vector<PrimitiveKernel::Operand> operands{
        {DNNL_ARG_DIFF_DST, lowering.use(dy, compiled.desc(DNNL_ARG_DIFF_DST))},
        {DNNL_ARG_DIFF_SRC, lowering.define(dx, compiled.desc(DNNL_ARG_DIFF_SRC))},
    };
    lowering.add_primitive(lowering.node().name, std::move(compiled), std::move(operands));
}

}  // namespace starling::compute::cpu
