#include <algorithm>

#include "compute/graph/operator.hpp"
#include "compute/graph/view.hpp"
#include "compute/reference/reference.hpp"

namespace starling::compute::reference {

namespace {

void concat(const Call& call) {
    auto& y = call.outputs[0];
    const auto axis = normal_axis(call.node.attributes.integer("axis", 0), y.shape.size());
    const auto whole = cut_at(y.shape, axis);
    std::int64_t begin = 0;
    for (const auto* x : call.inputs) {
        const auto cut = cut_at(x->shape, axis);
        for (std::int64_t i = 0; i < element_count(x->shape); ++i) {
            const auto outer = i / (cut.length * cut.inner);
            const auto rest = i % (cut.length * cut.inner);
            const auto at = (outer * whole.length + begin) * whole.inner + rest;
            y.values[static_cast<std::size_t>(at)] = x->values[static_cast<std::size_t>(i)];
        }
        begin += cut.length;
    }
}

/// Calls visit(index into the table, index into what is gathered).
template <class Visit>
void for_each_gathered(const Call& call, const Shape& table, const Visit& visit) {
    const auto axis = normal_axis(call.node.attributes.integer("axis", 0), table.size());
    const auto cut = cut_at(table, axis);
    const auto& indices = call.inputs[1]->values;
    const auto count = static_cast<std::int64_t>(indices.size());
    for (std::int64_t i = 0; i < cut.outer * count * cut.inner; ++i) {
        const auto which = i / cut.inner % count;
        auto row = static_cast<std::int64_t>(indices[static_cast<std::size_t>(which)]);
        row = std::clamp<std::int64_t>(row < 0 ? row + cut.length : row, 0, cut.length - 1);
        const auto outer = i / (cut.inner * count);
        const auto at = (outer * cut.length + row) * cut.inner + i % cut.inner;
        visit(static_cast<std::size_t>(at), static_cast<std::size_t>(i));
    }
}

void pad(const Call& call) {
    const auto& x = *call.inputs[0];
    auto& y = call.outputs[0];
    const auto pads = call.node.attributes.integers("pads", {});
    std::fill(y.values.begin(), y.values.end(), call.node.attributes.real("value", 0.0));
    View inside{x.shape, row_major_strides(y.shape), 0};
    for (std::size_t i = 0; i < x.shape.size(); ++i) inside.offset += pads[i] * inside.strides[i];
    for (std::int64_t i = 0; i < element_count(x.shape); ++i) {
        const auto at = static_cast<std::size_t>(view_index(inside, i));
        y.values[at] = x.values[static_cast<std::size_t>(i)];
    }
}

}  // namespace

bool evaluate_movement(const Call& call) {
    const auto op = call.node.op->name;
    const auto& attributes = call.node.attributes;
    auto& y = call.outputs[0];
    if (op == "Transpose") {
        y.values =
            read_view(call.inputs[0]->values, *transpose_view(call.inputs[0]->shape, attributes));
    } else if (op == "Slice") {
        y.values =
            read_view(call.inputs[0]->values, *slice_view(call.inputs[0]->shape, attributes));
    } else if (op == "Expand") {
        y.values =
            read_view(call.inputs[0]->values, *expand_view(call.inputs[0]->shape, attributes));
    } else if (op == "SliceGrad") {
        const auto view = *slice_view(y.shape, attributes);
        for (std::int64_t i = 0; i < element_count(view.shape); ++i) {
            const auto at = static_cast<std::size_t>(view_index(view, i));
            y.values[at] = call.inputs[0]->values[static_cast<std::size_t>(i)];
        }
    } else if (op == "Concat") {
        concat(call);
    } else if (op == "Gather") {
        for_each_gathered(call, call.inputs[0]->shape, [&](std::size_t from, std::size_t to) {
            y.values[to] = call.inputs[0]->values[from];
        });
    } else if (op == "GatherGrad") {
        for_each_gathered(call, y.shape, [&](std::size_t to, std::size_t from) {
            y.values[to] += call.inputs[0]->values[from];
        });
    } else if (op == "Pad") {
        pad(call);
    } else if (op == "Constant") {
        const auto values = attributes.reals("value");
        for (std::size_t i = 0; i < y.values.size(); ++i) {
            y.values[i] = values[values.size() == 1 ? 0 : i];
        }
    } else {
        return false;
    }
    return true;
}

}  // namespace starling::compute::reference
