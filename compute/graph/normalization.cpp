// Operators that shift and scale to mean zero and variance one, and Dropout.

#include <array>

#include "compute/graph/gradient_context.hpp"
#include "compute/graph/operator.hpp"
#include "compute/graph/view.hpp"

namespace starling::compute {

namespace {

InferredTypes infer_layer_norm(OperandTypes inputs, const Attributes& attributes) {
    const auto& x = inputs[0]->shape;
    const auto axis = normal_axis(attributes.integer("axis", -1), x.size());
    if (axis < 0) return fail(FaultCode::BadValue, "LayerNormalization has no such axis");
    const Shape inner(x.begin() + axis, x.end());
    for (std::size_t i = 1; i < inputs.size(); ++i) {
        if (inputs[i] != nullptr && inputs[i]->shape != inner) {
            return fail(
                FaultCode::Unsupported,
                "LayerNormalization wants scale and bias of shape " + to_string(inner)
            );
        }
    }
    Shape rows(x.begin(), x.begin() + axis);
    rows.resize(x.size(), 1);
    return std::vector<TensorType>{*inputs[0], {rows}, {rows}};
}

/// Contributes the gradients of x, scale and bias, those of them that are wanted.
void contribute_wanted(GradientContext& context, const std::vector<ValueId>& gradients) {
    for (std::size_t i = 0; i < 3; ++i) {
        if (context.wants(i)) context.contribute(i, gradients[i]);
    }
}

void layer_norm_gradient(GradientContext& context) {
    const auto found = context.emit(
        "LayerNormalizationGrad",
        {context.output_gradient(0),
         context.input(0),
         context.output(1),
         context.output(2),
         context.input(1)},
        context.attributes()
    );
    contribute_wanted(context, found);
}

InferredTypes infer_layer_norm_grad(OperandTypes inputs, const Attributes& attributes) {
    const auto& x = inputs[1]->shape;
    const auto axis = normal_axis(attributes.integer("axis", -1), x.size());
    const Shape inner(x.begin() + axis, x.end());
    return std::vector<TensorType>{*inputs[1], {inner}, {inner}};
}

Result<void> check_channels(OperandTypes inputs) {
    const auto& x = inputs[0]->shape;
    bool good = x.size() >= 2;
    for (std::size_t i = 1; good && i < inputs.size(); ++i) {
        good = inputs[i] != nullptr && inputs[i]->shape == Shape{x[1]};
    }
    if (good) return {};
    return fail(
        FaultCode::BadValue, "normalisation wants one value per channel of " + to_string(x)
    );
}

InferredTypes infer_batch_norm(OperandTypes inputs, const Attributes& attributes) {
    const auto sound = check_channels(inputs);
    if (sound.has_error()) return sound.error();
    std::vector<TensorType> types{*inputs[0]};
    if (attributes.integer("training_mode", 0) != 0) {
        types.push_back(*inputs[3]);
        types.push_back(*inputs[3]);
    }
    return types;
}

/// With fixed statistics, a norm scales a channel by scale / sqrt(var + epsilon) and shifts it.
void fixed_norm_gradient(GradientContext& context) {
    const auto dy = context.output_gradient(0);
    const auto channels = context.input_shape(1)[0];
    Shape column(context.input_shape(0).size() - 1, 1);
    column[0] = channels;
    const auto wide = [&](ValueId x) {
        return context.emit("Reshape", {x}, {{"shape", column}})[0];
    };
    const auto epsilon = context.constant(context.attributes().real("epsilon", 1e-5));
    const auto deviation =
        wide(context.emit("Sqrt", {context.emit("Add", {context.input(4), epsilon})[0]})[0]);
    const auto share = context.emit("Div", {dy, deviation})[0];
    if (context.wants(0)) {
        context.contribute(0, context.emit("Mul", {share, wide(context.input(1))})[0]);
    }
    std::vector<std::int64_t> axes{0};
    for (std::size_t i = 2; i <= column.size(); ++i) axes.push_back(static_cast<std::int64_t>(i));
    const Attributes fold{{"axes", axes}, {"keepdims", std::int64_t{0}}};
    if (context.wants(1)) {
        const auto centred = context.emit("Sub", {context.input(0), wide(context.input(3))})[0];
        const auto slope = context.emit("Mul", {share, centred})[0];
        context.contribute(1, context.emit("ReduceSum", {slope}, fold)[0]);
    }
    if (context.wants(2)) context.contribute(2, context.emit("ReduceSum", {dy}, fold)[0]);
}

void batch_norm_gradient(GradientContext& context) {
    if (context.attributes().integer("training_mode", 0) == 0) {
        fixed_norm_gradient(context);
        return;
    }
    const auto found = context.emit(
        "BatchNormalizationGrad",
        {context.output_gradient(0),
         context.input(0),
         context.input(1),
         context.output(1),
         context.output(2)},
        context.attributes()
    );
    contribute_wanted(context, found);
}

InferredTypes infer_batch_norm_grad(OperandTypes inputs, const Attributes&) {
    return std::vector<TensorType>{*inputs[1], *inputs[2], *inputs[2]};
}

InferredTypes infer_group_norm(OperandTypes inputs, const Attributes& attributes) {
    const auto sound = check_channels(inputs);
    if (sound.has_error()) return sound.error();
    const auto channels = inputs[0]->shape[1];
    const auto groups = attributes.integer("num_groups", channels);
    if (groups < 1 || groups > channels || channels % groups != 0) {
        return fail(FaultCode::BadValue, "num_groups does not divide the channels");
    }
    return std::vector<TensorType>{*inputs[0]};
}

/// Reshapes each group into a row, normalises the rows, then scales and shifts the channels.
Expansion expand_group_norm(
    Graph& graph, const std::vector<ValueId>& inputs, const Attributes& given
) {
    const auto x = graph.shape(inputs[0]);
    const auto groups = given.integer("num_groups", x[1]);
    const auto rows = graph.emit("Reshape", {inputs[0]}, {{"shape", Shape{x[0] * groups, -1}}})[0];
    const auto even = graph.emit(
        "LayerNormalization",
        {rows},
        {{"axis", std::int64_t{1}}, {"epsilon", given.real("epsilon", 1e-5)}}
    )[0];
    const auto back = graph.emit("Reshape", {even}, {{"shape", x}})[0];
    Shape column(x.size() - 1, 1);
    column[0] = x[1];
    const Attributes wide{{"shape", column}};
    const auto scale = graph.emit("Reshape", {inputs[1]}, wide)[0];
    const auto bias = graph.emit("Reshape", {inputs[2]}, wide)[0];
    return graph.emit("Add", {graph.emit("Mul", {back, scale})[0], bias});
}

InferredTypes infer_dropout(OperandTypes inputs, const Attributes& attributes) {
    const double ratio = attributes.real("ratio", 0.5);
    if (!(ratio >= 0.0 && ratio < 1.0)) {
        return fail(FaultCode::BadValue, "the ratio of Dropout lies in [0, 1)");
    }
    return std::vector<TensorType>{*inputs[0], *inputs[0]};
}

Expansion expand_dropout(
    Graph& graph, const std::vector<ValueId>& inputs, const Attributes& given
) {
    if (given.integer("training_mode", 0) != 0 && given.real("ratio", 0.5) > 0.0) return {};
    const Attributes ones{{"value", std::vector<double>{1.0}}, {"shape", graph.shape(inputs[0])}};
    return {graph.emit("Identity", inputs)[0], graph.emit("Constant", {}, ones)[0]};
}

void dropout_gradient(GradientContext& context) {
    context.contribute(0, context.emit("Mul", {context.output_gradient(0), context.output(1)})[0]);
}

constexpr auto kNormalizationOperators = std::to_array<Operator>({
    {"LayerNormalization",
     "X, scale and bias optional -> Y, mean, 1 / standard deviation; over the axes from `axis` on",
     1,
     3,
     infer_layer_norm,
     layer_norm_gradient},
    {"LayerNormalizationGrad",
     "dY, X, mean, 1 / deviation, scale optional -> dX, dscale, dbias",
     4,
     5,
     infer_layer_norm_grad,
     nullptr},
    {"BatchNormalization",
     "X [N,C,..], scale, bias, mean, variance [C] -> Y; with training_mode the statistics are the "
     "batch's, and follow as outputs (variance over N, not N - 1)",
     5,
     5,
     infer_batch_norm,
     batch_norm_gradient},
    {"BatchNormalizationGrad",
     "dY, X, scale, batch mean, batch variance -> dX, dscale, dbias",
     5,
     5,
     infer_batch_norm_grad,
     nullptr},
    {"GroupNormalization",
     "X [N,C,..], scale, bias [C] -> each of `num_groups` groups of channels normalised",
     3,
     3,
     infer_group_norm,
     nullptr,
     expand_group_norm},
    {"InstanceNormalization",
     "X [N,C,..], scale, bias [C] -> each channel of each sample normalised",
     3,
     3,
     infer_group_norm,
     nullptr,
     expand_group_norm},
    {"Dropout",
     "X -> Y, mask: zero with probability `ratio`, else 1 / (1 - ratio); X itself without "
     "training_mode",
     1,
     1,
     infer_dropout,
     dropout_gradient,
     expand_dropout},
});

}  // namespace

std::span<const Operator> normalization_operators() {
    return kNormalizationOperators;
}

}  // namespace starling::compute
