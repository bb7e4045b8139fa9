// Attention: a loop of ours, head by head.

#include "compute/cpu/loops/attention.hpp"

#include "compute/cpu/lowering/lowering.hpp"

namespace starling::compute::cpu {

namespace {

AttentionShape shape_of(const Lowering& lowering, ValueId qkv) {
    const auto& x = lowering.graph().shape(qkv);
    const auto heads = lowering.node().attributes.integer("heads", 1);
    return {lowering.threads(), x[0], x[1], heads, x[2] / 3 / heads};
}

}  // namespace

void lower_attention(Lowering& lowering) {
    const auto shape = shape_of(lowering, lowering.input(0));
    const auto& graph = lowering.graph();
    const auto qkv = lowering.use_plain(lowering.input(0));
    const auto y = lowering.define(lowering.output(0), plain(graph.shape(lowering.output(0))));
    const auto w = lowering.define(lowering.output(1), plain(graph.shape(lowering.output(1))));
    const auto scratch = lowering.temporary(shape.scratch_elements() * sizeof(float));
    lowering.add_loop(lowering.node().name, {qkv, y, w, scratch}, [shape](LoopKernel::Operands o) {
        attention(
            shape,
            floats(o[0]).data(),
            floats(o[1]).data(),
            floats(o[2]).data(),
            floats(o[3]).data()
        );
    });
}

void lower_attention_gradient(Lowering& lowering) {
    const auto shape = shape_of(lowering, lowering.input(1));
    const auto dy = lowering.use_plain(lowering.input(0));
    const auto qkv = lowering.use_plain(lowering.input(1));
    const auto w = lowering.use_plain(lowering.input(2));
    const auto scratch = lowering.temporary(shape.scratch_elements() * sizeof(float));
    const auto dx =
        lowering.define(lowering.output(), plain(lowering.graph().shape(lowering.output())));
    lowering
        .add_loop(lowering.node().name, {dy, qkv, w, dx, scratch}, [shape](LoopKernel::Operands o) {
            attention_gradient(
                shape,
                floats(o[0]).data(),
                floats(o[1]).data(),
                floats(o[2]).data(),
                floats(o[3]).data(),
                floats(o[4]).data()
            );
        });
}

}  // namespace starling::compute::cpu
