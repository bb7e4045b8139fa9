// Elementwise operators in whatever layout their operand has, reshapes without a copy, the loss.

#include "compute/cpu/loops.hpp"
#include "compute/cpu/lowering.hpp"

namespace starling::compute::cpu {

namespace {

/// Returns the operand's buffer for the output when it may be overwritten, else a new one.
BufferId in_place_or_new(Lowering& lowering, ValueId operand, const Desc& layout) {
    const auto taken = lowering.take_over(operand, layout);
    if (!taken.has_value()) return lowering.define(lowering.output(), layout);
    lowering.define_alias(lowering.output(), layout, *taken);
    return *taken;
}

}  // namespace

void lower_relu(Lowering& lowering) {
    const auto x = lowering.input(0);
    const auto layout = lowering.layout_of(x);
    const auto from = lowering.use(x, layout);
    const auto to = in_place_or_new(lowering, x, layout);
    lowering.add_loop(
        lowering.node().name,
        {from, to},
        [threads = lowering.threads()](LoopKernel::Operands o) {
            relu(threads, floats(o[0]), floats(o[1]));
        }
    );
}

void lower_relu_gradient(Lowering& lowering) {
    const auto dy = lowering.input(0);
    const auto y = lowering.input(1);
    const auto layout = lowering.layout_of(y);
    const auto slope = lowering.use(dy, layout);
    const auto sign = lowering.use(y, layout);
    const auto to = in_place_or_new(lowering, dy, layout);
    lowering.add_loop(
        lowering.node().name,
        {slope, sign, to},
        [threads = lowering.threads()](LoopKernel::Operands o) {
            relu_gradient(threads, floats(o[0]), floats(o[1]), floats(o[2]));
        }
    );
}

void lower_add(Lowering& lowering) {
    const auto a = lowering.input(0);
    const auto b = lowering.input(1);
    const auto layout = lowering.layout_of(a);
    const auto left = lowering.use(a, layout);
    const auto right = lowering.use(b, layout);
    const auto to = in_place_or_new(lowering, a, layout);
    lowering.add_loop(
        lowering.node().name,
        {left, right, to},
        [threads = lowering.threads()](LoopKernel::Operands o) {
            add(threads, floats(o[0]), floats(o[1]), floats(o[2]));
        }
    );
}

void lower_reshape(Lowering& lowering) {
    const auto x = lowering.input(0);
    const auto& from = lowering.graph().value(x).type;
    const auto& to = lowering.graph().value(lowering.output()).type;
    const auto buffer = lowering.use(x, plain(from.shape, from.element));
    lowering.define_alias(lowering.output(), plain(to.shape, to.element), buffer);
}

void lower_loss(Lowering& lowering) {
    const auto scores = lowering.input(0);
    const auto labels = lowering.input(1);
    const auto& shape = lowering.graph().shape(scores);
    const auto from = lowering.use(scores, plain(shape));
    const auto truth = lowering.use(labels, plain({shape[0]}, ElementType::I32));
    const auto loss = lowering.define(lowering.output(0), plain({}));
    const auto log_probabilities = lowering.define(lowering.output(1), plain(shape));
    lowering.add_loop(
        lowering.node().name,
        {from, truth, loss, log_probabilities},
        [threads = lowering.threads()](LoopKernel::Operands o) {
            floats(o[2])[0] =
                softmax_cross_entropy(threads, floats(o[0]), integers(o[1]), floats(o[3]));
        }
    );
}

void lower_loss_gradient(Lowering& lowering) {
    const auto log_probabilities = lowering.input(0);
    const auto labels = lowering.input(1);
    const auto& shape = lowering.graph().shape(log_probabilities);
    const auto from = lowering.use(log_probabilities, plain(shape));
    const auto truth = lowering.use(labels, plain({shape[0]}, ElementType::I32));
    const auto to = lowering.define(lowering.output(), plain(shape));
    lowering.add_loop(
        lowering.node().name,
        {from, truth, to},
        [threads = lowering.threads()](LoopKernel::Operands o) {
            softmax_cross_entropy_gradient(threads, floats(o[0]), integers(o[1]), floats(o[2]));
        }
    );
}

}  // namespace starling::compute::cpu
