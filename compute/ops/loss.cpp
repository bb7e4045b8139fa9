// Losses, which are means over the batch.

#include <array>

#include "base/check.hpp"
#include "compute/ops/operator.hpp"

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
    return std::vector<TensorType>{{Shape{}}, {scores}};
}

void loss_gradient(GradientContext& context) {
    STARLING_CHECK(context.output_gradient(0) == ValueId::None);
    context.contribute(
        0, context.emit("SoftmaxCrossEntropyGrad", {context.output(1), context.input(1)})[0]
    );
}

InferredTypes infer_gradient(OperandTypes inputs, const Attributes&) {
    return std::vector<TensorType>{*inputs[0]};
}

constexpr std::array<Operator, 2> kOperators{{
    {"SoftmaxCrossEntropyLoss",
     "scores [N,C], labels [N] int32 -> mean loss [], log-probabilities [N,C]. Differentiable as "
     "the root only",
     2,
     2,
     infer_loss,
     loss_gradient},
    {"SoftmaxCrossEntropyGrad",
     "log-probabilities, labels -> dscores [N,C] of the mean loss",
     2,
     2,
     infer_gradient,
     nullptr},
}};

}  // namespace

std::span<const Operator> loss_operators() {
    return kOperators;
}

}  // namespace starling::compute
