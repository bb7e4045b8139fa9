// Reductions, softmax and the loss of classes.

#include "compute/gpu/lowering.hpp"
#include "compute/graph/operator.hpp"

namespace starling::compute::gpu {

namespace {

/// The results of a reduction as two views: of the axes that stay, and of those that are folded.
struct Folding {
    View kept;
    View folded;
};

Folding folding_of(const Shape& x, const std::vector<bool>& reduced) {
    const auto strides = row_major_strides(x);
    Folding folding;
    for (std::size_t i = 0; i < x.size(); ++i) {
        auto& view = reduced[i] ? folding.folded : folding.kept;
        view.shape.push_back(x[i]);
        view.strides.push_back(strides[i]);
    }
    return folding;
}

Cut softmax_cut(const Lowering& lowering, const Shape& shape) {
    const auto axis = normal_axis(lowering.attributes().integer("axis", -1), shape.size());
    return cut_at(shape, axis);
}

LossShape loss_shape(const Lowering& lowering, const Shape& scores) {
    LossShape p;
    p.classes = static_cast<std::int32_t>(scores[1]);
    p.ignored = static_cast<std::int32_t>(lowering.attributes().integer("ignore_index", -100));
    p.weighted = lowering.input(2) == ValueId::None ? 0 : 1;
    p.smoothing = static_cast<float>(lowering.attributes().real("label_smoothing", 0.0));
    return p;
}

/// Adds the sum of the labels' weights, and returns its buffer.
BufferId add_label_total(
    Lowering& lowering, BufferId labels, BufferId weights, std::int64_t rows, const LossShape& p
) {
    const auto total = lowering.temporary(1);
    lowering.add_rows("label_total", 1, {labels, weights, total, word(rows), block(p)});
    return total;
}

}  // namespace

void lower_reduce(Lowering& lowering) {
    // A result of one element after the other by one thread, or by a group: a group is worth it
    // where there are too few results to occupy the device, and they are long.
    constexpr std::int64_t kManyResults = 4096;
    constexpr std::int64_t kLong = 256;
    const auto op = lowering.node().op->name;
    const std::int64_t fold = op == "ReduceSum" ? 0 : op == "ReduceMean" ? 1 : 2;
    const auto& shape = lowering.shape(lowering.input(0));
    const auto folding = folding_of(shape, *reduced_axes(shape, lowering.attributes()));
    const auto count = lowering.count(lowering.output());
    const auto length = lowering.count(lowering.input(0)) / count;
    const auto from = lowering.use(lowering.input(0));
    const auto to = lowering.define(lowering.output());
    const auto kept = block(kernel_view(folding.kept));
    const auto folded = block(kernel_view(folding.folded));
    if (count < kManyResults && length >= kLong) {
        lowering.add_rows(
            "reduce_group", count, {from, to, kept, folded, wide(length), word(fold)}
        );
    } else {
        lowering.add_flat(
            "reduce_each", count, {from, to, kept, folded, wide(count), wide(length), word(fold)}
        );
    }
}

void lower_softmax(Lowering& lowering) {
    const auto cut = softmax_cut(lowering, lowering.shape(lowering.input(0)));
    const auto from = lowering.use(lowering.input(0));
    const auto to = lowering.overwrite_or_define(lowering.input(0));
    lowering.add_rows(
        "softmax",
        cut.outer * cut.inner,
        {from,
         to,
         word(cut.length),
         wide(cut.inner),
         truth(lowering.node().op->name == "LogSoftmax")}
    );
}

void lower_softmax_gradient(Lowering& lowering) {
    const auto cut = softmax_cut(lowering, lowering.shape(lowering.input(0)));
    const auto slope = lowering.use(lowering.input(0));
    const auto known = lowering.use(lowering.input(1));
    const auto to = lowering.overwrite_or_define(lowering.input(0));
    lowering.add_rows(
        "softmax_gradient",
        cut.outer * cut.inner,
        {slope,
         known,
         to,
         word(cut.length),
         wide(cut.inner),
         truth(lowering.node().op->name == "LogSoftmaxGrad")}
    );
}

void lower_loss(Lowering& lowering) {
    const auto& shape = lowering.shape(lowering.input(0));
    const auto p = loss_shape(lowering, shape);
    const auto scores = lowering.use(lowering.input(0));
    const auto labels = lowering.use(lowering.input(1));
    const auto weights = lowering.use_optional(lowering.input(2), scores);
    const auto logs = lowering.define(lowering.output(1));
    const auto parts = lowering.temporary(shape[0]);
    lowering.add_rows(
        "cross_entropy_rows", shape[0], {scores, labels, weights, logs, parts, block(p)}
    );
    const auto total = add_label_total(lowering, labels, weights, shape[0], p);
    lowering.add_rows(
        "loss_of_rows", 1, {parts, total, lowering.define(lowering.output()), word(shape[0])}
    );
}

void lower_loss_gradient(Lowering& lowering) {
    const auto& shape = lowering.shape(lowering.input(0));
    const auto p = loss_shape(lowering, shape);
    const auto logs = lowering.use(lowering.input(0));
    const auto labels = lowering.use(lowering.input(1));
    const auto weights = lowering.use_optional(lowering.input(2), logs);
    const auto total = add_label_total(lowering, labels, weights, shape[0], p);
    const auto to = lowering.overwrite_or_define(lowering.input(0));
    lowering.add_rows(
        "cross_entropy_gradient", shape[0], {logs, labels, weights, total, to, block(p)}
    );
}

void lower_score(Lowering& lowering) {
    const auto& shape = lowering.shape(lowering.input(0));
    const bool of_class =
        lowering.graph().value(lowering.input(1)).type.element == ElementType::I32;
    const auto count = of_class ? shape[0] : lowering.count(lowering.input(0));
    const auto answers = lowering.use(lowering.input(0));
    const auto labels = lowering.use(lowering.input(1));
    const auto hits = lowering.temporary(count);
    if (of_class) {
        lowering.add_flat(
            "class_hits", count, {answers, labels, hits, wide(count), word(shape[1])}
        );
    } else {
        lowering.add_flat("label_hits", count, {answers, labels, hits, wide(count)});
    }
    lowering.add_rows("sum_words", 1, {hits, lowering.define(lowering.output()), word(count)});
}

}  // namespace starling::compute::gpu
