// Operators that move elements: copies between strided views, and rows picked by index.

#include <algorithm>

#include "compute/cpu/loops/strided.hpp"
#include "compute/cpu/lowering/lowering.hpp"
#include "compute/graph/operator.hpp"
#include "compute/simd/parallel.hpp"

namespace starling::compute::cpu {

namespace {

std::uint32_t* words(std::span<std::byte> bytes) {
    return reinterpret_cast<std::uint32_t*>(bytes.data());
}

View whole_view(const Shape& shape) {
    return {shape, row_major_strides(shape), 0};
}

BufferId define_plain(Lowering& lowering) {
    const auto& type = lowering.graph().value(lowering.output()).type;
    return lowering.define(lowering.output(), plain(type.shape, type.element));
}

View view_of(const Node& node, const Shape& x) {
    if (node.op->name == "Transpose") return *transpose_view(x, node.attributes);
    if (node.op->name == "Expand") return *expand_view(x, node.attributes);
    return *slice_view(x, node.attributes);
}

/// How a Gather cuts its table, and one row's place in it.
struct Rows {
    Cut cut;
    std::int64_t count = 0;  ///< of indices

    /// An index outside the table takes the nearest row, because data may hold any number.
    [[nodiscard]] std::int64_t at(std::int32_t index) const {
        const std::int64_t row = index < 0 ? index + cut.length : index;
        return std::clamp<std::int64_t>(row, 0, cut.length - 1);
    }
};

Rows rows_of(const Lowering& lowering, const Shape& table) {
    const auto axis = normal_axis(lowering.node().attributes.integer("axis", 0), table.size());
    const auto& indices = lowering.graph().shape(lowering.input(1));
    return {cut_at(table, axis), element_count(indices)};
}

void gather_rows(
    const Rows& rows,
    std::span<const std::int32_t> indices,
    const std::uint32_t* table,
    std::uint32_t* y
) {
    for (std::int64_t outer = 0; outer < rows.cut.outer; ++outer) {
        for (const auto index : indices) {
            const auto from = (outer * rows.cut.length + rows.at(index)) * rows.cut.inner;
            y = std::copy_n(table + from, rows.cut.inner, y);
        }
    }
}

/// Adds rows [begin, end) of columns, so that threads can share the columns.
void scatter_columns(
    const Rows& rows,
    std::span<const std::int32_t> indices,
    const float* dy,
    float* table,
    std::int64_t begin,
    std::int64_t end
) {
    const auto inner = rows.cut.inner;
    for (std::int64_t outer = 0; outer < rows.cut.outer; ++outer) {
        for (std::int64_t i = 0; i < rows.count; ++i) {
            const auto to = rows.at(indices[static_cast<std::size_t>(i)]);
            float* __restrict target = table + (outer * rows.cut.length + to) * inner;
            const float* __restrict source = dy + (outer * rows.count + i) * inner;
            for (auto k = begin; k < end; ++k) target[k] += source[k];
        }
    }
}

}  // namespace

void lower_view(Lowering& lowering) {
    const auto x = lowering.input(0);
    const auto& type = lowering.graph().value(x).type;
    const auto view = view_of(lowering.node(), type.shape);
    const auto from = lowering.use(x, plain(type.shape, type.element));
    const auto to = define_plain(lowering);
    const auto walk = make_walk({view, whole_view(view.shape)});
    lowering.add_loop(
        lowering.node().name,
        {from, to},
        [threads = lowering.threads(), walk](LoopKernel::Operands o) {
            copy_strided(threads, walk, words(o[0]), words(o[1]));
        }
    );
}

void lower_slice_gradient(Lowering& lowering) {
    const auto dy = lowering.input(0);
    const auto& shape = lowering.graph().shape(lowering.output());
    const auto view = *slice_view(shape, lowering.node().attributes);
    const auto from = lowering.use_plain(dy);
    const auto to = define_plain(lowering);
    const auto walk = make_walk({whole_view(view.shape), view});
    lowering.add_loop(
        lowering.node().name,
        {from, to},
        [threads = lowering.threads(), walk](LoopKernel::Operands o) {
            const auto dx = floats(o[1]);
            std::fill(dx.begin(), dx.end(), 0.0F);
            copy_strided(threads, walk, words(o[0]), words(o[1]));
        }
    );
}

void lower_concat(Lowering& lowering) {
    const auto& node = lowering.node();
    const auto& y = lowering.graph().value(lowering.output()).type;
    const auto axis = normal_axis(node.attributes.integer("axis", 0), y.shape.size());
    const auto strides = row_major_strides(y.shape);
    std::vector<BufferId> operands;
    std::vector<Walk> walks;
    std::int64_t begin = 0;
    for (const auto id : node.inputs) {
        const auto& shape = lowering.graph().shape(id);
        operands.push_back(lowering.use(id, plain(shape, y.element)));
        const View part{shape, strides, begin * strides[static_cast<std::size_t>(axis)]};
        walks.push_back(make_walk({whole_view(shape), part}));
        begin += shape[static_cast<std::size_t>(axis)];
    }
    operands.push_back(define_plain(lowering));
    lowering.add_loop(
        node.name,
        operands,
        [threads = lowering.threads(), walks](LoopKernel::Operands o) {
            for (std::size_t i = 0; i < walks.size(); ++i) {
                copy_strided(threads, walks[i], words(o[i]), words(o.back()));
            }
        }
    );
}

void lower_pad(Lowering& lowering) {
    const auto x = lowering.input(0);
    const auto& shape = lowering.graph().shape(x);
    const auto& attributes = lowering.node().attributes;
    const auto pads = attributes.integers("pads", {});
    View inside{shape, row_major_strides(lowering.graph().shape(lowering.output())), 0};
    for (std::size_t i = 0; i < shape.size(); ++i) inside.offset += pads[i] * inside.strides[i];
    const auto from = lowering.use_plain(x);
    const auto to = define_plain(lowering);
    const auto walk = make_walk({whole_view(shape), inside});
    lowering.add_loop(
        lowering.node().name,
        {from, to},
        [threads = lowering.threads(),
         walk,
         value = static_cast<float>(attributes.real("value", 0.0))](LoopKernel::Operands o) {
            const auto y = floats(o[1]);
            std::fill(y.begin(), y.end(), value);
            copy_strided(threads, walk, words(o[0]), words(o[1]));
        }
    );
}

void lower_gather(Lowering& lowering) {
    const auto& table = lowering.graph().value(lowering.input(0)).type;
    const auto& indices = lowering.graph().shape(lowering.input(1));
    const auto from = lowering.use(lowering.input(0), plain(table.shape, table.element));
    const auto which = lowering.use(lowering.input(1), plain(indices, ElementType::I32));
    const auto to = define_plain(lowering);
    const auto rows = rows_of(lowering, table.shape);
    lowering.add_loop(lowering.node().name, {from, which, to}, [rows](LoopKernel::Operands o) {
        gather_rows(rows, integers(o[1]), words(o[0]), words(o[2]));
    });
}

void lower_gather_gradient(Lowering& lowering) {
    const auto& indices = lowering.graph().shape(lowering.input(1));
    const auto from = lowering.use_plain(lowering.input(0));
    const auto which = lowering.use(lowering.input(1), plain(indices, ElementType::I32));
    const auto rows = rows_of(lowering, lowering.graph().shape(lowering.output()));
    const auto to = define_plain(lowering);
    lowering.add_loop(
        lowering.node().name,
        {from, which, to},
        [rows, threads = lowering.threads()](LoopKernel::Operands o) {
            const auto table = floats(o[2]);
            std::fill(table.begin(), table.end(), 0.0F);
            const auto share = (rows.cut.inner + threads - 1) / threads;
#pragma omp parallel for schedule(static) num_threads(threads)
            for (int part = 0; part < threads; ++part) {
                const auto begin = std::min(rows.cut.inner, part * share);
                const auto end = std::min(rows.cut.inner, begin + share);
                scatter_columns(
                    rows, integers(o[1]), floats(o[0]).data(), table.data(), begin, end
                );
            }
        }
    );
}

void lower_constant(Lowering& lowering) {
    const auto& type = lowering.graph().value(lowering.output()).type;
    const auto to = define_plain(lowering);
    const auto values = lowering.node().attributes.reals("value");
    const bool whole = type.element == ElementType::I32;
    lowering.add_loop(lowering.node().name, {to}, [values, whole](LoopKernel::Operands o) {
        const auto count = o[0].size() / sizeof(float);
        for (std::size_t i = 0; i < count; ++i) {
            const double value = values[values.size() == 1 ? 0 : i];
            if (whole) {
                integers(o[0])[i] = static_cast<std::int32_t>(value);
            } else {
                floats(o[0])[i] = static_cast<float>(value);
            }
        }
    });
}

}  // namespace starling::compute::cpu
