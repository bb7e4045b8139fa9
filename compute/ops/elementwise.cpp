// Operators that work element by element.

#include <array>

#include "compute/ops/operator.hpp"

namespace starling::compute {

namespace {

InferredTypes infer_same(OperandTypes inputs, const Attributes&) {
    return std::vector<TensorType>{*inputs[0]};
}

InferredTypes infer_pair(OperandTypes inputs, const Attributes&) {
    if (*inputs[0] != *inputs[1]) {
        return fail(
            FaultCode::Unsupported,
            "operands " + to_string(inputs[0]->shape) + " and " + to_string(inputs[1]->shape) +
                " differ, and broadcasting is not supported"
        );
    }
    return std::vector<TensorType>{*inputs[0]};
}

/// Takes the sign from the output rather than the input, so that the input need not outlive the
/// forward pass: both are positive together.
void relu_gradient(GradientContext& context) {
    context.contribute(
        0, context.emit("ReluGrad", {context.output_gradient(0), context.output(0)})[0]
    );
}

void add_gradient(GradientContext& context) {
    for (std::size_t i = 0; i < 2; ++i) {
        if (context.wants(i)) context.contribute(i, context.output_gradient(0));
    }
}

void identity_gradient(GradientContext& context) {
    context.contribute(0, context.output_gradient(0));
}

constexpr std::array<Operator, 4> kOperators{{
    {"Relu", "X -> max(X, 0)", 1, 1, infer_same, relu_gradient},
    {"ReluGrad", "dY, Y -> dY where Y > 0, else 0", 2, 2, infer_pair, nullptr},
    {"Add", "A, B of one shape -> A + B", 2, 2, infer_pair, add_gradient},
    {"Identity", "X -> X", 1, 1, infer_same, identity_gradient},
}};

}  // namespace

std::span<const Operator> elementwise_operators() {
    return kOperators;
}

}  // namespace starling::compute
