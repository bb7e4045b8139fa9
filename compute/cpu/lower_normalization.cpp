// Normalisation: layers with loops of ours, batches with oneDNN in whatever layout the image has.

#include "compute/cpu/loops_norm.hpp"
#include "compute/cpu/lowering.hpp"

namespace starling::compute::cpu {

namespace {

LayerNorm shape_of(const Lowering& lowering, const Shape& x) {
    const auto& attributes = lowering.node().attributes;
    const auto cut = cut_at(x, normal_axis(attributes.integer("axis", -1), x.size()));
    return {
        lowering.threads(),
        cut.outer,
        cut.length * cut.inner,
        static_cast<float>(attributes.real("epsilon", 1e-5))};
}

BufferId define_plain(Lowering& lowering, std::size_t i) {
    return lowering.define(lowering.output(i), plain(lowering.graph().shape(lowering.output(i))));
}

/// Reads an operand that may be missing, in which case nothing is read from `fallback`.
BufferId use_optional(Lowering& lowering, std::size_t i, BufferId fallback) {
    return lowering.input(i) == ValueId::None ? fallback : lowering.use_plain(lowering.input(i));
}

BatchNorm batch_norm_of(const Lowering& lowering, ValueId x, Desc layout, bool fixed) {
    BatchNorm b;
    b.shape = lowering.graph().shape(x);
    b.layout = std::move(layout);
    b.epsilon = static_cast<float>(lowering.node().attributes.real("epsilon", 1e-5));
    b.fixed = fixed;
    b.relu = lowering.node().attributes.integer("fused_relu", 0) != 0;
    return b;
}

}  // namespace

void lower_layer_norm(Lowering& lowering) {
    const auto x = lowering.input(0);
    const auto shape = shape_of(lowering, lowering.graph().shape(x));
    const auto from = lowering.use_plain(x);
    const auto scale = use_optional(lowering, 1, from);
    const auto bias = use_optional(lowering, 2, from);
    const auto y = define_plain(lowering, 0);
    const auto mean = define_plain(lowering, 1);
    const auto inverse = define_plain(lowering, 2);
    lowering.add_loop(
        lowering.node().name,
        {from, scale, bias, y, mean, inverse},
        [shape, scaled = scale != from, biased = bias != from](LoopKernel::Operands o) {
            layer_norm(
                shape,
                floats(o[0]).data(),
                scaled ? floats(o[1]).data() : nullptr,
                biased ? floats(o[2]).data() : nullptr,
                floats(o[3]).data(),
                floats(o[4]).data(),
                floats(o[5]).data()
            );
        }
    );
}

void lower_layer_norm_gradient(Lowering& lowering) {
    const auto shape = shape_of(lowering, lowering.graph().shape(lowering.input(1)));
    std::vector<BufferId> operands;
    for (std::size_t i = 0; i < 4; ++i) {
        operands.push_back(lowering.use_plain(lowering.input(i)));
    }
    operands.push_back(use_optional(lowering, 4, operands[1]));
    const bool scaled = operands[4] != operands[1];
    const bool weighted =
        lowering.is_read(lowering.output(1)) || lowering.is_read(lowering.output(2));
    operands.push_back(define_plain(lowering, 0));
    if (weighted) {
        operands.push_back(define_plain(lowering, 1));
        operands.push_back(define_plain(lowering, 2));
        operands.push_back(lowering.temporary(shape.scratch_elements() * sizeof(float)));
    }
    lowering.add_loop(
        lowering.node().name,
        operands,
        [shape, scaled, weighted](LoopKernel::Operands o) {
            const LayerNormOperands in{
                floats(o[0]).data(),
                floats(o[1]).data(),
                floats(o[2]).data(),
                floats(o[3]).data(),
                scaled ? floats(o[4]).data() : nullptr};
            layer_norm_gradient(
                shape,
                in,
                floats(o[5]).data(),
                weighted ? floats(o[6]).data() : nullptr,
                weighted ? floats(o[7]).data() : nullptr,
                weighted ? floats(o[8]).data() : nullptr
            );
        }
    );
}

void lower_batch_norm(Lowering& lowering) {
    const auto x = lowering.input(0);
    const bool fixed = lowering.node().outputs.size() == 1;
    const auto layout = lowering.layout_of(x);
    auto compiled = batch_norm_forward(batch_norm_of(lowering, x, layout, fixed));
    const auto statistics = [&](std::size_t operand, std::size_t output) {
        return fixed ? lowering.use_plain(lowering.input(operand)) : define_plain(lowering, output);
    };
    std::vector<PrimitiveKernel::Operand> operands{
        {DNNL_ARG_SRC, lowering.use(x, layout)},
        {DNNL_ARG_SCALE, lowering.use_plain(lowering.input(1))},
        {DNNL_ARG_SHIFT, lowering.use_plain(lowering.input(2))},
        {DNNL_ARG_MEAN, statistics(3, 1)},
        {DNNL_ARG_VARIANCE, statistics(4, 2)},
        {DNNL_ARG_DST, lowering.define(lowering.output(0), layout)},
    };
    if (compiled.has(DNNL_ARG_WORKSPACE)) {
        const auto mask = lowering.temporary(byte_count(compiled.desc(DNNL_ARG_WORKSPACE)));
        lowering.remember_mask(lowering.output(1), mask);
        operands.push_back({DNNL_ARG_WORKSPACE, mask});
    }
    lowering.add_primitive(lowering.node().name, std::move(compiled), std::move(operands));
}

void lower_batch_norm_gradient(Lowering& lowering) {
    const auto dy = lowering.input(0);
    const auto x = lowering.input(1);
    const auto layout = lowering.layout_of(x);
    auto compiled = batch_norm_backward(batch_norm_of(lowering, x, layout, false));
    std::vector<PrimitiveKernel::Operand> operands {
        {DNNL_ARG_DIFF_DST, lowering.use(dy, layout)}, {DNNL_ARG_SRC, lowering.use(x, layout)},
            {DNNL_ARG_SCALE, lowering.use_plain(lowering.input(2))},
#if DNNL_VERSION_MAJOR < 3
            // Never read, but version 2 counts its operands.
            {DNNL_ARG_SHIFT, lowering.use_plain(lowering.input(2))},
#endif
            {DNNL_ARG_MEAN, lowering.use_plain(lowering.input(3))},
            {DNNL_ARG_VARIANCE, lowering.use_plain(lowering.input(4))},
            {DNNL_ARG_DIFF_SRC, lowering.define(lowering.output(0), layout)},
            {DNNL_ARG_DIFF_SCALE, define_plain(lowering, 1)},
            {DNNL_ARG_DIFF_SHIFT, define_plain(lowering, 2)},
    };
    if (compiled.has(DNNL_ARG_WORKSPACE)) {
        operands.push_back({DNNL_ARG_WORKSPACE, lowering.recall_mask(lowering.input(3))});
    }
    lowering.add_primitive(lowering.node().name, std::move(compiled), std::move(operands));
}

}  // namespace starling::compute::cpu
