// Operators that move, pick, join and repeat elements.

#include <array>

#include "compute/graph/gradient_context.hpp"
#include "compute/graph/operator.hpp"
#include "compute/graph/view.hpp"

namespace starling::compute {

namespace {

using Ints = std::vector<std::int64_t>;
using ViewOf = Result<View> (*)(const Shape&, const Attributes&);

template <ViewOf kView>
InferredTypes infer_view(OperandTypes inputs, const Attributes& attributes) {
    auto view = kView(inputs[0]->shape, attributes);
    if (view.has_error()) return view.error();
    return std::vector<TensorType>{{std::move(view->shape), inputs[0]->element}};
}

void transpose_gradient(GradientContext& context) {
    const auto rank = context.input_shape(0).size();
    Ints order(rank);
    for (std::size_t i = 0; i < rank; ++i) order[i] = static_cast<std::int64_t>(rank - 1 - i);
    order = context.attributes().integers("perm", order);
    Ints back(rank);
    for (std::size_t i = 0; i < rank; ++i) {
        const auto axis = static_cast<std::size_t>(normal_axis(order[i], rank));
        back[axis] = static_cast<std::int64_t>(i);
    }
    context.contribute(
        0, context.emit("Transpose", {context.output_gradient(0)}, {{"perm", back}})[0]
    );
}

void slice_gradient(GradientContext& context) {
    auto attributes = context.attributes();
    attributes.set("input_shape", context.input_shape(0));
    context.contribute(0, context.emit("SliceGrad", {context.output_gradient(0)}, attributes)[0]);
}

void expand_gradient(GradientContext& context) {
    context.contribute_reduced(0, context.output_gradient(0));
}

InferredTypes infer_given(OperandTypes, const Attributes& attributes) {
    return std::vector<TensorType>{{attributes.integers("input_shape", {})}};
}

InferredTypes infer_concat(OperandTypes inputs, const Attributes& attributes) {
    TensorType y = *inputs[0];
    const auto axis = normal_axis(attributes.integer("axis", 0), y.shape.size());
    bool good = axis >= 0;
    for (std::size_t i = 1; good && i < inputs.size(); ++i) {
        auto other = *inputs[i];
        good = other.shape.size() == y.shape.size() && other.element == y.element;
        if (!good) break;
        const auto more = other.shape[static_cast<std::size_t>(axis)];
        other.shape[static_cast<std::size_t>(axis)] = y.shape[static_cast<std::size_t>(axis)];
        good = other == y;
        y.shape[static_cast<std::size_t>(axis)] += more;
    }
    if (!good) return fail(FaultCode::BadValue, "the operands of Concat do not fit together");
    const auto sound = check_shape(y.shape);
    if (sound.has_error()) return sound.error();
    return std::vector<TensorType>{std::move(y)};
}

Attributes slice_attributes(std::int64_t axis, std::int64_t begin, std::int64_t end) {
    return {{"axes", Ints{axis}}, {"starts", Ints{begin}}, {"ends", Ints{end}}};
}

void concat_gradient(GradientContext& context) {
    const auto rank = context.input_shape(0).size();
    const auto axis = normal_axis(context.attributes().integer("axis", 0), rank);
    std::int64_t begin = 0;
    for (std::size_t i = 0; i < context.input_count(); ++i) {
        const auto end = begin + context.input_shape(i)[static_cast<std::size_t>(axis)];
        if (context.wants(i)) {
            const auto part = slice_attributes(axis, begin, end);
            context.contribute(i, context.emit("Slice", {context.output_gradient(0)}, part)[0]);
        }
        begin = end;
    }
}

/// The sizes of a Split's parts: `split`, or `num_outputs` equal ones.
Result<Ints> split_sizes(const Shape& x, std::int64_t axis, const Attributes& attributes) {
    const auto length = x[static_cast<std::size_t>(axis)];
    const auto parts = attributes.integer("num_outputs", 2);
    Ints sizes = attributes.integers("split", {});
    if (sizes.empty() && parts >= 1 && parts <= length && length % parts == 0) {
        sizes.assign(static_cast<std::size_t>(parts), length / parts);
    }
    std::int64_t total = 0;
    for (const auto size : sizes) {
        if (size < 1 || size > length) return fail(FaultCode::BadValue, "a part of Split is empty");
        total += size;
    }
    if (total != length) {
        return fail(FaultCode::BadValue, "the parts of Split do not cover " + to_string(x));
    }
    return sizes;
}

InferredTypes infer_split(OperandTypes inputs, const Attributes& attributes) {
    const auto& x = *inputs[0];
    const auto axis = normal_axis(attributes.integer("axis", 0), x.shape.size());
    if (axis < 0) return fail(FaultCode::BadValue, "Split has no such axis");
    const auto sizes = split_sizes(x.shape, axis, attributes);
    if (sizes.has_error()) return sizes.error();
    std::vector<TensorType> types;
    for (const auto size : *sizes) {
        types.push_back(x);
        types.back().shape[static_cast<std::size_t>(axis)] = size;
    }
    return types;
}

Expansion expand_split(Graph& graph, const std::vector<ValueId>& inputs, const Attributes& given) {
    const auto x = graph.shape(inputs[0]);
    const auto axis = normal_axis(given.integer("axis", 0), x.size());
    std::vector<ValueId> parts;
    std::int64_t begin = 0;
    for (const auto size : *split_sizes(x, axis, given)) {
        parts.push_back(graph.emit("Slice", inputs, slice_attributes(axis, begin, begin + size))[0]
        );
        begin += size;
    }
    return parts;
}

InferredTypes infer_gather(OperandTypes inputs, const Attributes& attributes) {
    const auto& x = *inputs[0];
    const auto& indices = *inputs[1];
    const auto axis = normal_axis(attributes.integer("axis", 0), x.shape.size());
    if (axis < 0 || indices.element != ElementType::I32) {
        return fail(FaultCode::BadValue, "Gather wants an axis of its operand and int32 indices");
    }
    Shape y(x.shape.begin(), x.shape.begin() + axis);
    y.insert(y.end(), indices.shape.begin(), indices.shape.end());
    y.insert(y.end(), x.shape.begin() + axis + 1, x.shape.end());
    const auto sound = check_shape(y);
    if (sound.has_error()) return sound.error();
    return std::vector<TensorType>{{std::move(y), x.element}};
}

void gather_gradient(GradientContext& context) {
    if (!context.wants(0)) return;
    auto attributes = context.attributes();
    attributes.set("input_shape", context.input_shape(0));
    context.contribute(
        0, context.emit("GatherGrad", {context.output_gradient(0), context.input(1)}, attributes)[0]
    );
}

InferredTypes infer_pad(OperandTypes inputs, const Attributes& attributes) {
    const auto& x = inputs[0]->shape;
    const auto pads = attributes.integers("pads", {});
    if (attributes.text("mode", "constant") != "constant") {
        return fail(FaultCode::Unsupported, "Pad knows the constant mode only");
    }
    bool good = pads.size() == 2 * x.size();
    for (const auto pad : pads) good = good && pad >= 0 && pad <= kElementsMax;
    if (!good) return fail(FaultCode::BadValue, "pads do not fit " + to_string(x));
    Shape y = x;
    for (std::size_t i = 0; i < x.size(); ++i) y[i] += pads[i] + pads[i + x.size()];
    const auto sound = check_shape(y);
    if (sound.has_error()) return sound.error();
    return std::vector<TensorType>{{std::move(y)}};
}

void pad_gradient(GradientContext& context) {
    const auto& x = context.input_shape(0);
    const auto pads = context.attributes().integers("pads", {});
    Ints starts(pads.begin(), pads.begin() + static_cast<std::ptrdiff_t>(x.size()));
    Ints ends;
    for (std::size_t i = 0; i < x.size(); ++i) ends.push_back(starts[i] + x[i]);
    const Attributes inside{{"starts", starts}, {"ends", ends}};
    context.contribute(0, context.emit("Slice", {context.output_gradient(0)}, inside)[0]);
}

InferredTypes infer_resize(OperandTypes inputs, const Attributes& attributes) {
    Shape y = inputs[0]->shape;
    const auto scales = attributes.integers("scales", {});
    bool good = scales.size() == y.size() && attributes.text("mode", "nearest") == "nearest";
    for (std::size_t i = 0; good && i < y.size(); ++i) {
        good = scales[i] >= 1 && scales[i] <= 4096 && y[i] <= kElementsMax;
        if (good) y[i] *= scales[i];
    }
    if (!good) {
        return fail(
            FaultCode::Unsupported, "Resize repeats elements (nearest) a whole number of times"
        );
    }
    const auto sound = check_shape(y);
    if (sound.has_error()) return sound.error();
    return std::vector<TensorType>{{std::move(y)}};
}

/// Repeats along an axis of one added behind each axis.
Expansion expand_resize(Graph& graph, const std::vector<ValueId>& inputs, const Attributes& given) {
    const auto x = graph.shape(inputs[0]);
    const auto scales = given.integers("scales", {});
    Shape split;
    Shape repeated;
    Shape y;
    for (std::size_t i = 0; i < x.size(); ++i) {
        split.insert(split.end(), {x[i], 1});
        repeated.insert(repeated.end(), {x[i], scales[i]});
        y.push_back(x[i] * scales[i]);
    }
    const auto apart = graph.emit("Reshape", inputs, {{"shape", split}});
    const auto wide = graph.emit("Expand", apart, {{"shape", repeated}});
    return graph.emit("Reshape", wide, {{"shape", y}});
}

InferredTypes infer_constant(OperandTypes, const Attributes& attributes) {
    const auto shape = attributes.integers("shape", {});
    const auto sound = check_shape(shape);
    if (sound.has_error()) return sound.error();
    const auto values = static_cast<std::int64_t>(attributes.reals("value").size());
    if (values != 1 && values != element_count(shape)) {
        return fail(FaultCode::BadValue, "Constant has not as many values as elements");
    }
    const bool whole = attributes.text("to", "float") == "int32";
    return std::vector<TensorType>{{shape, whole ? ElementType::I32 : ElementType::F32}};
}

constexpr auto kMovementOperators = std::to_array<Operator>({
    {"Transpose",
     "X -> axes in order `perm`",
     1,
     1,
     infer_view<transpose_view>,
     transpose_gradient},
    {"Slice",
     "X -> `starts` to `ends` by `steps` on `axes`",
     1,
     1,
     infer_view<slice_view>,
     slice_gradient},
    {"SliceGrad", "dY -> dX of `input_shape`, zero outside the slice", 1, 1, infer_given, nullptr},
    {"Expand", "X -> broadcast to `shape`", 1, 1, infer_view<expand_view>, expand_gradient},
    {"Concat", "operands joined along `axis`", 1, 64, infer_concat, concat_gradient},
    {"Split",
     "X -> parts along `axis`, of sizes `split`",
     1,
     1,
     infer_split,
     nullptr,
     expand_split},
    {"Gather",
     "X, indices int32 -> X at the indices along `axis`",
     2,
     2,
     infer_gather,
     gather_gradient},
    {"GatherGrad", "dY, indices -> dX of `input_shape`", 2, 2, infer_given, nullptr},
    {"Pad", "X -> with `value` around it, `pads` wide", 1, 1, infer_pad, pad_gradient},
    {"Resize",
     "X -> each element repeated `scales` times",
     1,
     1,
     infer_resize,
     nullptr,
     expand_resize},
    {"Constant", "`value`: one or all elements of `shape`", 0, 0, infer_constant, nullptr},
});

}  // namespace

std::span<const Operator> movement_operators() {
    return kMovementOperators;
}

}  // namespace starling::compute
