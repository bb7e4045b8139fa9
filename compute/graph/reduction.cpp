// Operators that fold axes: sums, means, maxima, softmax.

#include <array>

#include "compute/graph/gradient_context.hpp"
#include "compute/graph/operator.hpp"
#include "compute/graph/view.hpp"

namespace starling::compute {

namespace {

InferredTypes infer_reduce(OperandTypes inputs, const Attributes& attributes) {
    const auto& x = inputs[0]->shape;
    const auto reduced = reduced_axes(x, attributes);
    if (reduced.has_error()) return reduced.error();
    const bool keep = attributes.integer("keepdims", 1) != 0;
    Shape y;
    for (std::size_t i = 0; i < x.size(); ++i) {
        if (!(*reduced)[i]) {
            y.push_back(x[i]);
        } else if (keep) {
            y.push_back(1);
        }
    }
    return std::vector<TensorType>{{y}};
}

/// The output's shape with the folded axes as ones.
Shape kept_shape(GradientContext& context) {
    Shape shape = context.input_shape(0);
    const auto reduced = *reduced_axes(shape, context.attributes());
    for (std::size_t i = 0; i < shape.size(); ++i) {
        if (reduced[i]) shape[i] = 1;
    }
    return shape;
}

ValueId spread(GradientContext& context, ValueId dy) {
    const auto kept = context.emit("Reshape", {dy}, {{"shape", kept_shape(context)}})[0];
    return context.emit("Expand", {kept}, {{"shape", context.input_shape(0)}})[0];
}

void sum_gradient(GradientContext& context) {
    context.contribute(0, spread(context, context.seeded_gradient(0)));
}

void mean_gradient(GradientContext& context) {
    const auto folded = element_count(context.input_shape(0)) /
                        element_count(context.value_type(context.output(0)).shape);
    const auto share = context.constant(1.0 / static_cast<double>(folded));
    const auto scaled = context.emit("Mul", {context.seeded_gradient(0), share})[0];
    context.contribute(0, spread(context, scaled));
}

/// Equal maxima share the gradient, as in PyTorch's amax.
void max_gradient(GradientContext& context) {
    const Attributes kept{{"shape", kept_shape(context)}};
    const auto y = context.emit("Reshape", {context.output(0)}, kept)[0];
    const auto dy = context.emit("Reshape", {context.seeded_gradient(0)}, kept)[0];
    const auto mask = context.emit("EqualMask", {context.input(0), y})[0];
    auto folding = context.attributes();
    folding.set("keepdims", std::int64_t{1});
    const auto count = context.emit("ReduceSum", {mask}, folding)[0];
    context.contribute(0, context.emit("Mul", {mask, context.emit("Div", {dy, count})[0]})[0]);
}

InferredTypes infer_softmax(OperandTypes inputs, const Attributes& attributes) {
    const auto& x = inputs[0]->shape;
    if (normal_axis(attributes.integer("axis", -1), x.size()) < 0) {
        return fail(FaultCode::BadValue, to_string(x) + " does not have the axis of the softmax");
    }
    return std::vector<TensorType>{*inputs[0]};
}

void softmax_gradient(GradientContext& context) {
    const auto op = context.op_name() == "Softmax" ? "SoftmaxGrad" : "LogSoftmaxGrad";
    context.contribute(
        0,
        context.emit(op, {context.output_gradient(0), context.output(0)}, context.attributes())[0]
    );
}

constexpr auto kReductionOperators = std::to_array<Operator>({
    {"ReduceSum", "X -> sum over `axes`", 1, 1, infer_reduce, sum_gradient},
    {"ReduceMean", "X -> mean over `axes`", 1, 1, infer_reduce, mean_gradient},
    {"ReduceMax", "X -> maximum over `axes`", 1, 1, infer_reduce, max_gradient},
    {"Softmax", "X -> exp X / sum exp X along `axis`", 1, 1, infer_softmax, softmax_gradient},
    {"LogSoftmax", "X -> log of Softmax", 1, 1, infer_softmax, softmax_gradient},
    {"SoftmaxGrad", "dY, Y -> dX = Y (dY - sum dY Y)", 2, 2, infer_softmax, nullptr},
    {"LogSoftmaxGrad", "dY, Y -> dX = dY - exp Y sum dY", 2, 2, infer_softmax, nullptr},
});

}  // namespace

std::span<const Operator> reduction_operators() {
    return kReductionOperators;
}

}  // namespace starling::compute
