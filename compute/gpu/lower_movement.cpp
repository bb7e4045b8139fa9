// Operators that move elements: copies between strided views, rows picked by index, constants.

#include <bit>

#include "compute/gpu/lowering.hpp"
#include "compute/graph/operator.hpp"

namespace starling::compute::gpu {

namespace {

View view_of(const Node& node, const Shape& x) {
    if (node.op->name == "Transpose") return *transpose_view(x, node.attributes);
    if (node.op->name == "Expand") return *expand_view(x, node.attributes);
    return *slice_view(x, node.attributes);
}

void add_move(
    Lowering& lowering, BufferId from, const View& source, BufferId to, const View& target
) {
    const auto count = element_count(source.shape);
    lowering.add_flat(
        "move_view",
        count,
        {from, to, block(kernel_view(source)), block(kernel_view(target)), wide(count)}
    );
}

void add_fill(Lowering& lowering, BufferId to, std::int64_t count, float value) {
    lowering.add_flat(
        "fill", count, {to, wide(count), Argument(std::bit_cast<std::int32_t>(value))}
    );
}

/// How a Gather cuts its table, and the number of its indices.
struct Rows {
    Cut cut;
    std::int64_t picks = 0;
};

Rows rows_of(const Lowering& lowering, const Shape& table) {
    const auto axis = normal_axis(lowering.attributes().integer("axis", 0), table.size());
    return {cut_at(table, axis), lowering.count(lowering.input(1))};
}

}  // namespace

/// The bytes stay where they are.
void lower_reshape(Lowering& lowering) {
    lowering.define_alias(lowering.output(), lowering.use(lowering.input(0)));
}

void lower_view(Lowering& lowering) {
    const auto view = view_of(lowering.node(), lowering.shape(lowering.input(0)));
    const auto from = lowering.use(lowering.input(0));
    const auto to = lowering.define(lowering.output());
    add_move(lowering, from, view, to, whole_view(view.shape));
}

void lower_slice_gradient(Lowering& lowering) {
    const auto view = *slice_view(lowering.shape(lowering.output()), lowering.attributes());
    const auto from = lowering.use(lowering.input(0));
    const auto to = lowering.define(lowering.output());
    add_fill(lowering, to, lowering.count(lowering.output()), 0.0F);
    add_move(lowering, from, whole_view(view.shape), to, view);
}

void lower_concat(Lowering& lowering) {
    const auto& y = lowering.shape(lowering.output());
    const auto axis =
        static_cast<std::size_t>(normal_axis(lowering.attributes().integer("axis", 0), y.size()));
    const auto strides = row_major_strides(y);
    const auto to = lowering.define(lowering.output());
    std::int64_t begin = 0;
    for (const auto id : lowering.node().inputs) {
        const auto& shape = lowering.shape(id);
        const View part{shape, strides, begin * strides[axis]};
        add_move(lowering, lowering.use(id), whole_view(shape), to, part);
        begin += shape[axis];
    }
}

void lower_pad(Lowering& lowering) {
    const auto& shape = lowering.shape(lowering.input(0));
    const auto pads = lowering.attributes().integers("pads", {});
    View inside{shape, row_major_strides(lowering.shape(lowering.output())), 0};
    for (std::size_t i = 0; i < shape.size(); ++i) inside.offset += pads[i] * inside.strides[i];
    const auto from = lowering.use(lowering.input(0));
    const auto to = lowering.define(lowering.output());
    const auto value = static_cast<float>(lowering.attributes().real("value", 0.0));
    add_fill(lowering, to, lowering.count(lowering.output()), value);
    add_move(lowering, from, whole_view(shape), to, inside);
}

void lower_gather(Lowering& lowering) {
    const auto rows = rows_of(lowering, lowering.shape(lowering.input(0)));
    const auto count = lowering.count(lowering.output());
    const auto table = lowering.use(lowering.input(0));
    const auto which = lowering.use(lowering.input(1));
    lowering.add_flat(
        "gather",
        count,
        {table,
         which,
         lowering.define(lowering.output()),
         wide(count),
         word(rows.picks),
         word(rows.cut.length),
         wide(rows.cut.inner)}
    );
}

void lower_gather_gradient(Lowering& lowering) {
    const auto rows = rows_of(lowering, lowering.shape(lowering.output()));
    const auto count = lowering.count(lowering.output());
    const auto slope = lowering.use(lowering.input(0));
    const auto which = lowering.use(lowering.input(1));
    const auto starts = lowering.temporary(rows.cut.length + 1);
    const auto order = lowering.temporary(rows.picks);
    lowering.add_rows(
        "sort_picks", 1, {which, starts, order, word(rows.picks), word(rows.cut.length)}
    );
    lowering.add_flat(
        "gather_gradient",
        count,
        {slope,
         starts,
         order,
         lowering.define(lowering.output()),
         wide(count),
         word(rows.picks),
         word(rows.cut.length),
         wide(rows.cut.inner)}
    );
}

/// Constants are written once, when the plan is made.
void lower_constant(Lowering& lowering) {
    const auto& type = lowering.graph().value(lowering.output()).type;
    const auto values = lowering.attributes().reals("value");
    std::vector<std::uint32_t> words;
    for (std::int64_t i = 0; i < lowering.count(lowering.output()); ++i) {
        const double value = values[values.size() == 1 ? 0 : static_cast<std::size_t>(i)];
        words.push_back(
            type.element == ElementType::I32
                ? std::bit_cast<std::uint32_t>(static_cast<std::int32_t>(value))
                : std::bit_cast<std::uint32_t>(static_cast<float>(value))
        );
    }
    lowering.define_alias(lowering.output(), lowering.constant(std::move(words)));
}

}  // namespace starling::compute::gpu
