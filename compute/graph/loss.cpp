// Losses, which are means over the batch.

#include <array>

#include "base/check.hpp"
#include "compute/graph/gradient_context.hpp"
#include "compute/graph/operator.hpp"

namespace starling::compute {

namespace {

InferredTypes infer_loss(OperandTypes inputs, const Attributes& attributes) {
    const auto& scores = inputs[0]->shape;
    if (attributes.text("reduction", "mean") != "mean") {
        return fail(FaultCode::Unsupported, "SoftmaxCrossEntropyLoss wants reduction = mean");
    }
    if (scores.size() != 2 || *inputs[1] != TensorType{{scores[0]}, ElementType::I32}) {
        return fail(
            FaultCode::BadValue,
            "the loss wants scores [N, classes] and labels [N], not " + to_string(scores) +
                " and " + to_string(inputs[1]->shape)
        );
    }
    if (inputs.size() > 2 && inputs[2] != nullptr && inputs[2]->shape != Shape{scores[1]}) {
        return fail(FaultCode::BadValue, "the loss wants one weight per class");
    }
    const double smoothing = attributes.real("label_smoothing", 0.0);
    if (!(smoothing >= 0.0 && smoothing < 1.0)) {
        return fail(FaultCode::BadValue, "label_smoothing lies in [0, 1)");
    }
    return std::vector<TensorType>{{Shape{}}, {scores}};
}

void loss_gradient(GradientContext& context) {
    STARLING_CHECK(context.output_gradient(0) == ValueId::None);
    context.contribute(
        0,
        context.emit(
            "SoftmaxCrossEntropyGrad",
            {context.output(1), context.input(1), context.input(2)},
            context.attributes()
        )[0]
    );
}

InferredTypes infer_gradient(OperandTypes inputs, const Attributes&) {
    return std::vector<TensorType>{*inputs[0]};
}

InferredTypes infer_difference(OperandTypes inputs, const Attributes&) {
    if (*inputs[0] != *inputs[1]) {
        return fail(
            FaultCode::BadValue,
            "the loss wants scores and targets of one shape, not " + to_string(inputs[0]->shape) +
                " and " + to_string(inputs[1]->shape)
        );
    }
    return std::vector<TensorType>{{Shape{}}};
}

InferredTypes infer_binary(OperandTypes inputs, const Attributes& attributes) {
    auto types = infer_difference(inputs, attributes);
    if (types.has_error() || inputs.size() < 3 || inputs[2] == nullptr) return types;
    const auto& scores = inputs[0]->shape;
    if (scores.empty() || inputs[2]->shape != Shape{scores.back()}) {
        return fail(
            FaultCode::BadValue,
            "the loss wants one pos_weight for each label, not " + to_string(inputs[2]->shape) +
                " for scores " + to_string(scores)
        );
    }
    return types;
}

InferredTypes infer_score(OperandTypes inputs, const Attributes&) {
    const auto& answers = *inputs[0];
    const bool of_class =
        answers.shape.size() == 2 && *inputs[1] == TensorType{{answers.shape[0]}, ElementType::I32};
    if (!of_class && *inputs[1] != answers) {
        return fail(
            FaultCode::BadValue,
            "Score wants answers [N, classes] and labels [N], or targets of one shape, not " +
                to_string(answers.shape) + " and " + to_string(inputs[1]->shape)
        );
    }
    return std::vector<TensorType>{{Shape{}, ElementType::I32}};
}

ValueId constant(Graph& graph, double value) {
    return graph.emit("Constant", {}, {{"value", std::vector<double>{value}}})[0];
}

Expansion mean_of(Graph& graph, ValueId x) {
    return graph.emit("ReduceMean", {x}, {{"keepdims", std::int64_t{0}}});
}

/// With a weight p of what holds the loss is -p z log s(x) - (1 - z) log (1 - s(x)), which is
/// (1 + (p - 1) z) softplus(x) - p z x and never takes the logarithm of zero. Its slope is right
/// everywhere, at x = 0 too, where forms with |x| have a kink.
Expansion expand_binary(Graph& graph, const std::vector<ValueId>& inputs, const Attributes&) {
    const auto emit = [&](std::string_view op, std::vector<ValueId> operands) {
        return graph.emit(op, std::move(operands))[0];
    };
    auto pull = inputs[1];
    auto soft = emit("Softplus", {inputs[0]});
    if (inputs.size() > 2 && inputs[2] != ValueId::None) {
        pull = emit("Mul", {inputs[1], inputs[2]});
        const auto excess = emit("Sub", {pull, inputs[1]});
        soft = emit("Mul", {soft, emit("Add", {excess, constant(graph, 1.0)})});
    }
    return mean_of(graph, emit("Sub", {soft, emit("Mul", {inputs[0], pull})}));
}

Expansion expand_square(Graph& graph, const std::vector<ValueId>& inputs, const Attributes&) {
    const auto difference = graph.emit("Sub", {inputs[0], inputs[1]})[0];
    return mean_of(graph, graph.emit("Mul", {difference, difference})[0]);
}

/// With d = |x - t| and c = min(d, beta): c (d - c / 2) / beta, which is d^2 / (2 beta) below beta
/// and d - beta / 2 above.
Expansion expand_smooth(
    Graph& graph, const std::vector<ValueId>& inputs, const Attributes& attributes
) {
    const double beta = attributes.real("beta", 1.0);
    const auto d = graph.emit("Abs", {graph.emit("Sub", {inputs[0], inputs[1]})[0]})[0];
    const auto c = graph.emit("Min", {d, constant(graph, beta)})[0];
    const auto half = graph.emit("Mul", {c, constant(graph, 0.5)})[0];
    const auto area = graph.emit("Mul", {c, graph.emit("Sub", {d, half})[0]})[0];
    return mean_of(graph, graph.emit("Mul", {area, constant(graph, 1.0 / beta)})[0]);
}

constexpr auto kLossOperators = std::to_array<Operator>({
    {"SoftmaxCrossEntropyLoss",
     "scores [N,C], labels [N] int32, class weights [C] optional -> mean loss [], "
     "log-probabilities [N,C]. The mean is weighted by the labels' weights; a label that equals "
     "ignore_index or names no class counts for nothing. Differentiable as the root only",
     2,
     3,
     infer_loss,
     loss_gradient},
    {"SoftmaxCrossEntropyGrad",
     "log-probabilities, labels, class weights optional -> dscores [N,C] of the mean loss",
     2,
     3,
     infer_gradient,
     nullptr},
    {"Score",
     "answers [N,C], labels [N] int32 -> how many rows have their first largest answer at the "
     "label [] int32; or answers, targets of one shape -> how often answer > 0 is target > 1/2",
     2,
     2,
     infer_score,
     nullptr},
    {"BinaryCrossEntropyLoss",
     "scores [N,C], targets [N,C] in [0, 1], pos_weight [C] optional -> mean loss [] of "
     "sigmoid(scores)",
     2,
     3,
     infer_binary,
     nullptr,
     expand_binary},
    {"MeanSquaredErrorLoss",
     "X, targets -> mean of (X - T)^2",
     2,
     2,
     infer_difference,
     nullptr,
     expand_square},
    {"SmoothL1Loss",
     "X, targets -> mean of a square below `beta` and a line above",
     2,
     2,
     infer_difference,
     nullptr,
     expand_smooth},
});

}  // namespace

std::span<const Operator> loss_operators() {
    return kLossOperators;
}

}  // namespace starling::compute
