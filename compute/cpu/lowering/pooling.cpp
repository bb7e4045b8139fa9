// Pooling takes its input in any layout and keeps it, so a convolution's layout passes through.

#include <array>
#include <optional>

#include "compute/cpu/loops/pool.hpp"
#include "compute/cpu/lowering/lowering.hpp"
#include "compute/graph/operator.hpp"

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

/// Describes a max-pool for our loops, which take windows that do not overlap and layouts that they
/// can read.
std::optional<MaxPoolShape> simple_pool(
    const Lowering& lowering, const Window& window, const Desc& layout
) {
    const std::array<std::int64_t, 2> none{0, 0};
    const std::array<std::int64_t, 2> one{1, 1};
    const auto block = channel_block(layout);
    if (block == 0 || window.strides != window.kernel || window.pad_begin != none ||
        window.pad_end != none || window.dilations != one) {
        return std::nullopt;
    }
    const auto dims = dims_of(layout);
    const auto channels = (dims[1] + block - 1) / block;
    return MaxPoolShape{
        lowering.threads(),
        dims[0] * channels,
        dims[2],
        dims[3],
        window.kernel[0],
        window.kernel[1],
        block};
}

void lower_simple_pool(Lowering& lowering, const MaxPoolShape& shape, const Desc& layout) {
    const auto y = lowering.output(0);
    const auto output = image_layout(lowering.graph().shape(y), shape.inner);
    const auto from = lowering.use(lowering.input(0), lowering.typed(y, layout));
    const auto to = lowering.define(y, lowering.typed(y, output));
    // Channels that only fill up a block have winners, too, so the count includes the padding.
    const auto places = static_cast<std::int64_t>(padded_count(output));
    const auto winners = lowering.define(lowering.output(1), plain({places}, ElementType::I32));
    lowering.remember_pool(lowering.output(1), layout, output);
    lowering.add_loop(
        lowering.node().name,
        {from, to, winners},
        [shape, rounds = lowering.rounds(y)](LoopKernel::Operands o) {
            max_pool(shape, {o[0].data(), rounds}, {o[1].data(), rounds}, integers(o[2]).data());
        }
    );
}

void lower_simple_pool_gradient(
    Lowering& lowering, const MaxPoolShape& shape, const Desc& input, const Desc& output
) {
    const auto dx = lowering.output();
    const auto places = static_cast<std::int64_t>(padded_count(output));
    const auto from = lowering.use(lowering.input(0), lowering.typed(dx, output));
    const auto winners = lowering.use(lowering.input(1), plain({places}, ElementType::I32));
    const auto to = lowering.define(dx, lowering.typed(dx, input));
    lowering.add_loop(
        lowering.node().name,
        {from, winners, to},
        [shape, rounds = lowering.rounds(dx)](LoopKernel::Operands o) {
            const auto* taps = integers(o[1]).data();
            max_pool_gradient(shape, {o[0].data(), rounds}, taps, {o[2].data(), rounds});
        }
    );
}

}  // namespace

void lower_max_pool(Lowering& lowering) {
    const auto x = lowering.input(0);
    const auto y = lowering.output(0);
    const auto indices = lowering.output(1);
    const auto layout = lowering.layout_of(x);
    if (const auto shape = simple_pool(lowering, window_of(lowering), layout)) {
        lower_simple_pool(lowering, *shape, layout);
        return;
    }
    auto p = pooling_of(lowering, PoolKind::Max, layout, y);
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
    const auto [input, output] = lowering.recall_pool(indices);
    if (const auto shape = simple_pool(lowering, window_of(lowering), input)) {
        lower_simple_pool_gradient(lowering, *shape, input, output);
        return;
    }
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
