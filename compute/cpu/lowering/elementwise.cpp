// Functions of one operand in any layout; operands that broadcast, and reductions, row-major.

#include <stdexcept>

#include "compute/cpu/loops/function.hpp"
#include "compute/cpu/loops/loops.hpp"
#include "compute/cpu/loops/norm.hpp"
#include "compute/cpu/loops/strided.hpp"
#include "compute/cpu/lowering/lowering.hpp"
#include "compute/graph/operator.hpp"
#include "compute/values/dropout.hpp"

namespace starling::compute::cpu {

namespace {

const FunctionLoop& loop_of(std::string_view name) {
    const auto* loop = find_function_loop(name);
    if (loop == nullptr) throw std::runtime_error(std::string(name) + " has no CPU kernel");
    return *loop;
}

/// A blocked layout whose channels do not fill the last block carries zeros there, and the library
/// relies on them. Most functions would turn those into something else, so such an operand is
/// unpacked first.
Desc without_padding(const Desc& layout, const Shape& shape) {
    const auto bytes = static_cast<std::size_t>(element_count(shape)) * sizeof(float);
    return byte_count(layout) == bytes ? layout : plain(shape);
}

/// Returns the common layout for operands of one shape: that of the first operand that is not
/// row-major, so that a blocked activation is not unpacked because of a constant.
Desc common_layout(Lowering& lowering, std::size_t first, std::size_t second) {
    const auto layout = lowering.layout_of(lowering.input(first));
    const bool packed = layout != plain(lowering.graph().shape(lowering.input(first)));
    return packed ? layout : lowering.layout_of(lowering.input(second));
}

}  // namespace

void lower_function(Lowering& lowering) {
    const auto x = lowering.input(0);
    const auto layout = lowering.typed(
        lowering.output(), without_padding(lowering.layout_of(x), lowering.graph().shape(x))
    );
    const auto& loop = loop_of(lowering.node().op->name);
    const auto from = lowering.use(x, layout);
    const auto to = lowering.overwrite_or_define(x, layout);
    lowering.add_loop(
        lowering.node().name,
        {from, to},
        [threads = lowering.threads(),
         run = loop.forward,
         rounds = is_bf16(layout),
         count = padded_count(layout),
         settings =
             function_settings(loop.name, lowering.node().attributes)](LoopKernel::Operands o) {
            run(threads, settings, count, {o[0].data(), rounds}, {o[1].data(), rounds});
        }
    );
}

void lower_function_gradient(Lowering& lowering) {
    const auto dy = lowering.input(0);
    const auto known = lowering.input(1);
    const auto layout = lowering.typed(
        lowering.output(),
        without_padding(common_layout(lowering, 1, 0), lowering.graph().shape(known))
    );
    const auto& attributes = lowering.node().attributes;
    const auto& loop = loop_of(attributes.text("function", ""));
    const auto slope = lowering.use(dy, layout);
    const auto at = lowering.use(known, layout);
    const auto to = lowering.overwrite_or_define(dy, layout);
    lowering.add_loop(
        lowering.node().name,
        {slope, at, to},
        [threads = lowering.threads(),
         run = loop.backward,
         rounds = is_bf16(layout),
         count = padded_count(layout),
         settings = function_settings(loop.name, attributes)](LoopKernel::Operands o) {
            const Sink dx{o[2].data(), rounds};
            run(threads, settings, count, {o[0].data(), rounds}, {o[1].data(), rounds}, dx);
        }
    );
}

namespace {

/// Lowers a sum in bf16, the only operator of two operands that is frequent in bf16 plans.
void lower_rounded_sum(Lowering& lowering, const Desc& layout, bool cut) {
    const auto left = lowering.use(lowering.input(0), layout);
    const auto right = lowering.use(lowering.input(1), layout);
    const auto to = lowering.overwrite_or_define(lowering.input(0), layout);
    lowering.add_loop(
        lowering.node().name,
        {left, right, to},
        [threads = lowering.threads(), count = padded_count(layout), cut](LoopKernel::Operands o) {
            add(threads, count, cut, {o[0].data(), true}, {o[1].data(), true}, {o[2].data(), true});
        }
    );
}

}  // namespace

void lower_pair(Lowering& lowering) {
    const auto a = lowering.input(0);
    const auto b = lowering.input(1);
    const auto& graph = lowering.graph();
    const auto& shape = graph.shape(lowering.output());
    const bool cut = lowering.node().attributes.integer("fused_relu", 0) != 0;
    const auto loop = find_pair_loop(cut ? kAddRelu : lowering.node().op->name);
    BufferId left = BufferId::None;
    BufferId right = BufferId::None;
    BufferId to = BufferId::None;
    Walk walk;
    if (graph.shape(a) == graph.shape(b)) {
        // A sum may keep a padded layout, because zeros add up to zero; residual nets have many
        // sums.
        const auto common = common_layout(lowering, 0, 1);
        const bool sum = lowering.node().op->name == "Add";
        const auto layout = sum ? common : without_padding(common, shape);
        if (sum && lowering.rounds(lowering.output())) {
            lower_rounded_sum(lowering, in_bf16(layout), cut);
            return;
        }
        left = lowering.use(a, layout);
        right = lowering.use(b, layout);
        to = lowering.overwrite_or_define(a, layout);
        const View flat{{static_cast<std::int64_t>(byte_count(layout) / sizeof(float))}, {1}, 0};
        walk = make_walk({flat, flat});
    } else {
        left = lowering.use_plain(a);
        right = lowering.use_plain(b);
        to = lowering.define(lowering.output(), plain(shape));
        walk =
            make_walk({broadcast_view(graph.shape(a), shape), broadcast_view(graph.shape(b), shape)}
            );
    }
    lowering.add_loop(
        lowering.node().name,
        {left, right, to},
        [threads = lowering.threads(), loop, walk](LoopKernel::Operands o) {
            loop(threads, walk, floats(o[0]).data(), floats(o[1]).data(), floats(o[2]).data());
        }
    );
}

void lower_where(Lowering& lowering) {
    const auto& graph = lowering.graph();
    const auto& shape = graph.shape(lowering.output());
    std::vector<BufferId> operands;
    std::vector<View> views;
    for (std::size_t i = 0; i < 3; ++i) {
        operands.push_back(lowering.use_plain(lowering.input(i)));
        views.push_back(broadcast_view(graph.shape(lowering.input(i)), shape));
    }
    operands.push_back(lowering.define(lowering.output(), plain(shape)));
    lowering.add_loop(
        lowering.node().name,
        operands,
        [threads = lowering.threads(), walk = make_walk(views)](LoopKernel::Operands o) {
            const float* c = floats(o[0]).data();
            choose(threads, walk, c, floats(o[1]).data(), floats(o[2]).data(), floats(o[3]).data());
        }
    );
}

void lower_cast(Lowering& lowering) {
    const auto& from = lowering.graph().value(lowering.input(0)).type;
    const auto& to = lowering.graph().value(lowering.output()).type;
    if (from.element == to.element) {
        lower_reshape(lowering);
        return;
    }
    const auto source = lowering.use(lowering.input(0), plain(from.shape, from.element));
    const auto target = lowering.define(lowering.output(), plain(to.shape, to.element));
    const bool whole = to.element == ElementType::I32;
    lowering.add_loop(lowering.node().name, {source, target}, [whole](LoopKernel::Operands o) {
        if (!whole) {
            const auto x = integers(o[0]);
            std::copy(x.begin(), x.end(), floats(o[1]).begin());
            return;
        }
        const auto x = floats(o[0]);
        const auto y = integers(o[1]);
        for (std::size_t i = 0; i < x.size(); ++i) {
            // A float outside the range of int32 has no conversion; a NaN becomes the lower bound.
            const float limited =
                x[i] >= -2147483648.0F ? std::min(x[i], 2147483520.0F) : -2147483648.0F;
            y[i] = static_cast<std::int32_t>(limited);
        }
    });
}

void lower_reduce(Lowering& lowering) {
    const auto x = lowering.input(0);
    const auto& shape = lowering.graph().shape(x);
    const auto op = lowering.node().op->name;
    const auto fold = op == "ReduceSum" ? Fold::Sum : op == "ReduceMean" ? Fold::Mean : Fold::Max;
    const auto reduced = *reduced_axes(shape, lowering.node().attributes);
    const bool rounded = is_bf16(lowering.form_of(x)) && lowering.sums_rows(lowering.node());
    const auto from = rounded ? lowering.use(x, in_bf16(plain(shape))) : lowering.use_plain(x);
    const auto to =
        lowering.define(lowering.output(), plain(lowering.graph().shape(lowering.output())));
    if (rounded) {
        lowering.add_loop(
            lowering.node().name,
            {from, to},
            [threads = lowering.threads(),
             width = shape.back(),
             rows = element_count(shape) / shape.back()](LoopKernel::Operands o) {
                sum_rows(threads, rows, width, {o[0].data(), true}, floats(o[1]).data());
            }
        );
        return;
    }
    lowering.add_loop(
        lowering.node().name,
        {from, to},
        [threads = lowering.threads(),
         r = make_reduction(shape, reduced, fold)](LoopKernel::Operands o) {
            reduce(threads, r, floats(o[0]).data(), floats(o[1]).data());
        }
    );
}

void lower_softmax(Lowering& lowering) {
    const auto x = lowering.input(0);
    const auto& shape = lowering.graph().shape(x);
    const auto axis = normal_axis(lowering.node().attributes.integer("axis", -1), shape.size());
    const bool logarithm = lowering.node().op->name == "LogSoftmax";
    const auto from = lowering.use_plain(x);
    const auto to = lowering.overwrite_or_define(x, plain(shape));
    lowering.add_loop(
        lowering.node().name,
        {from, to},
        [threads = lowering.threads(), logarithm, cut = cut_at(shape, axis)](LoopKernel::Operands o
        ) { softmax(threads, logarithm, cut, floats(o[0]).data(), floats(o[1]).data()); }
    );
}

void lower_softmax_gradient(Lowering& lowering) {
    const auto dy = lowering.input(0);
    const auto& shape = lowering.graph().shape(dy);
    const auto axis = normal_axis(lowering.node().attributes.integer("axis", -1), shape.size());
    const bool logarithm = lowering.node().op->name == "LogSoftmaxGrad";
    const auto slope = lowering.use_plain(dy);
    const auto y = lowering.use_plain(lowering.input(1));
    const auto to = lowering.overwrite_or_define(dy, plain(shape));
    lowering.add_loop(
        lowering.node().name,
        {slope, y, to},
        [threads = lowering.threads(), logarithm, cut = cut_at(shape, axis)](LoopKernel::Operands o
        ) {
            const float* known = floats(o[1]).data();
            softmax_gradient(
                threads, logarithm, cut, floats(o[0]).data(), known, floats(o[2]).data()
            );
        }
    );
}

void lower_dropout(Lowering& lowering) {
    const auto x = lowering.input(0);
    const auto& shape = lowering.graph().shape(x);
    const auto from = lowering.use_plain(x);
    const auto mask = lowering.define(lowering.output(1), plain(shape));
    const auto to = lowering.overwrite_or_define(x, plain(shape));
    const auto& attributes = lowering.node().attributes;
    lowering.add_loop(
        lowering.node().name,
        {from, mask, to},
        [seed = attributes.integer("seed", 0),
         ratio = attributes.real("ratio", 0.5),
         threads = lowering.threads(),
         run = std::uint64_t{0}](LoopKernel::Operands o) mutable {
            const DropoutMask draw(seed, ratio, run++);
            dropout(threads, draw, floats(o[0]), floats(o[1]), floats(o[2]));
        }
    );
}

}  // namespace starling::compute::cpu
