// Elementwise operators in whatever layout their operand has, reshapes without a copy, the loss.

#include "compute/cpu/loops/loops.hpp"
#include "compute/cpu/lowering/lowering.hpp"

namespace starling::compute::cpu {

void lower_relu(Lowering& lowering) {
    const auto x = lowering.input(0);
    const auto layout = lowering.typed(lowering.output(), lowering.layout_of(x));
    const auto from = lowering.use(x, layout);
    const auto to = lowering.overwrite_or_define(x, layout);
    lowering.add_loop(
        lowering.node().name,
        {from, to},
        [threads = lowering.threads(),
         rounds = is_bf16(layout),
         count = padded_count(layout)](LoopKernel::Operands o) {
            relu(threads, count, {o[0].data(), rounds}, {o[1].data(), rounds});
        }
    );
}

void lower_relu_gradient(Lowering& lowering) {
    const auto dy = lowering.input(0);
    const auto y = lowering.input(1);
    const bool sum = lowering.input(2) != ValueId::None;
    const auto layout = lowering.typed(lowering.output(), lowering.layout_of(y));
    std::vector<BufferId> operands{lowering.use(dy, layout), lowering.use(y, layout)};
    if (sum) operands.push_back(lowering.use(lowering.input(2), layout));
    operands.push_back(lowering.overwrite_or_define(dy, layout));
    lowering.add_loop(
        lowering.node().name,
        operands,
        [threads = lowering.threads(), rounds = is_bf16(layout), count = padded_count(layout), sum](
            LoopKernel::Operands o
        ) {
            const Source slope{o[0].data(), rounds};
            const Source known{o[1].data(), rounds};
            const Sink to{o.back().data(), rounds};
            if (sum) {
                relu_gradient_of_sum(threads, count, slope, {o[2].data(), rounds}, known, to);
            } else {
                relu_gradient(threads, count, slope, known, to);
            }
        }
    );
}

/// The bytes stay where they are; only their description changes.
void lower_reshape(Lowering& lowering) {
    const auto x = lowering.input(0);
    const auto& from = lowering.graph().value(x).type;
    const auto& to = lowering.graph().value(lowering.output()).type;
    const auto layout = lowering.typed(lowering.output(), plain(from.shape, from.element));
    const auto buffer = lowering.use(x, layout);
    const auto target = lowering.typed(lowering.output(), plain(to.shape, to.element));
    lowering.define_alias(lowering.output(), target, buffer);
}

namespace {

LossSettings loss_settings(const Lowering& lowering) {
    const auto& attributes = lowering.node().attributes;
    LossSettings settings;
    settings.threads = lowering.threads();
    settings.smoothing = static_cast<float>(attributes.real("label_smoothing", 0.0));
    settings.ignore = static_cast<std::int32_t>(attributes.integer("ignore_index", -100));
    return settings;
}

/// Adds a loop over the node's first two operands, its outputs of the given shapes, and weights of
/// the classes where there are any, and calls body(settings, operands).
template <class Body>
void add_loss_loop(Lowering& lowering, const std::vector<Shape>& outputs, const Body& body) {
    std::vector<BufferId> operands{
        lowering.use_plain(lowering.input(0)), lowering.use_plain(lowering.input(1))};
    for (std::size_t i = 0; i < outputs.size(); ++i) {
        operands.push_back(lowering.define(lowering.output(i), plain(outputs[i])));
    }
    const bool weighted = lowering.input(2) != ValueId::None;
    if (weighted) operands.push_back(lowering.use_plain(lowering.input(2)));
    lowering.add_loop(
        lowering.node().name,
        std::move(operands),
        [settings = loss_settings(lowering), weighted, body](LoopKernel::Operands o) {
            auto complete = settings;
            if (weighted) complete.weights = floats(o.back());
            body(complete, o);
        }
    );
}

}  // namespace

void lower_loss(Lowering& lowering) {
    const auto& shape = lowering.graph().shape(lowering.input(0));
    const auto body = [](const LossSettings& settings, LoopKernel::Operands o) {
        floats(o[2])[0] =
            softmax_cross_entropy(settings, floats(o[0]), integers(o[1]), floats(o[3]));
    };
    add_loss_loop(lowering, {Shape{}, shape}, body);
}

void lower_loss_gradient(Lowering& lowering) {
    const auto& shape = lowering.graph().shape(lowering.input(0));
    const auto body = [](const LossSettings& settings, LoopKernel::Operands o) {
        softmax_cross_entropy_gradient(settings, floats(o[0]), integers(o[1]), floats(o[2]));
    };
    add_loss_loop(lowering, {shape}, body);
}

/// Two numbers leave a step, and not all its answers.
void lower_score(Lowering& lowering) {
    const auto& graph = lowering.graph();
    const auto answers = lowering.use_plain(lowering.input(0));
    const auto labels = lowering.use_plain(lowering.input(1));
    const auto to = lowering.define(lowering.output(), plain(Shape{}, ElementType::I32));
    const bool of_class = graph.value(lowering.input(1)).type.element == ElementType::I32;
    lowering.add_loop(
        lowering.node().name,
        {answers, labels, to},
        [of_class, threads = lowering.threads()](LoopKernel::Operands o) {
            integers(o[2])[0] = of_class ? right_classes(threads, floats(o[0]), integers(o[1]))
                                         : right_labels(threads, floats(o[0]), floats(o[1]));
        }
    );
}

}  // namespace starling::compute::cpu
