// Operators that work element by element: functions of one operand, and of two that broadcast.

#include <array>

#include "compute/graph/gradient_context.hpp"
#include "compute/graph/operator.hpp"
#include "compute/graph/view.hpp"

namespace starling::compute {

namespace {

InferredTypes infer_same(OperandTypes inputs, const Attributes&) {
    return std::vector<TensorType>{*inputs[0]};
}

InferredTypes infer_pair(OperandTypes inputs, const Attributes&) {
    if (*inputs[0] != *inputs[1]) {
        return fail(
            FaultCode::BadValue,
            "operands " + to_string(inputs[0]->shape) + " and " + to_string(inputs[1]->shape) +
                " differ"
        );
    }
    return std::vector<TensorType>{*inputs[0]};
}

InferredTypes infer_broadcast(OperandTypes inputs, const Attributes&) {
    Shape shape = inputs[0]->shape;
    for (const auto* type : inputs) {
        auto wider = broadcast_shapes(shape, type->shape);
        if (wider.has_error()) return wider.error();
        shape = std::move(*wider);
    }
    return std::vector<TensorType>{{std::move(shape)}};
}

InferredTypes infer_cast(OperandTypes inputs, const Attributes& attributes) {
    const auto to = attributes.text("to", "float");
    if (to != "float" && to != "int32") {
        return fail(FaultCode::Unsupported, "Cast knows float and int32, not " + to);
    }
    const auto element = to == "float" ? ElementType::F32 : ElementType::I32;
    return std::vector<TensorType>{{inputs[0]->shape, element}};
}

/// Reads the output rather than the input, so that the input need not outlive the forward pass:
/// both are positive at the same places.
void relu_gradient(GradientContext& context) {
    context.contribute(
        0, context.emit("ReluGrad", {context.output_gradient(0), context.output(0)})[0]
    );
}

void function_gradient(GradientContext& context, ValueId known) {
    auto attributes = context.attributes();
    attributes.set("function", std::string(context.op_name()));
    context.contribute(
        0, context.emit("FunctionGrad", {context.output_gradient(0), known}, attributes)[0]
    );
}

/// For functions whose slope is known from the input.
void gradient_by_input(GradientContext& context) {
    function_gradient(context, context.input(0));
}

/// For functions whose slope is known from the output, so that the input's memory may be reused.
void gradient_by_output(GradientContext& context) {
    function_gradient(context, context.output(0));
}

void neg_gradient(GradientContext& context) {
    context.contribute(0, context.emit("Neg", {context.output_gradient(0)})[0]);
}

void identity_gradient(GradientContext& context) {
    if (context.value_type(context.input(0)).element != ElementType::F32) return;
    if (context.value_type(context.output(0)).element != ElementType::F32) return;
    context.contribute(0, context.output_gradient(0));
}

void add_gradient(GradientContext& context) {
    for (std::size_t i = 0; i < 2; ++i) {
        if (context.wants(i)) context.contribute_reduced(i, context.output_gradient(0));
    }
}

void sub_gradient(GradientContext& context) {
    const auto dy = context.output_gradient(0);
    if (context.wants(0)) context.contribute_reduced(0, dy);
    if (context.wants(1)) context.contribute_reduced(1, context.emit("Neg", {dy})[0]);
}

void mul_gradient(GradientContext& context) {
    const auto dy = context.output_gradient(0);
    for (std::size_t i = 0; i < 2; ++i) {
        if (!context.wants(i)) continue;
        context.contribute_reduced(i, context.emit("Mul", {dy, context.input(1 - i)})[0]);
    }
}

/// d(A/B)/dB = -Y/B.
void div_gradient(GradientContext& context) {
    const auto share = context.emit("Div", {context.output_gradient(0), context.input(1)})[0];
    if (context.wants(0)) context.contribute_reduced(0, share);
    if (!context.wants(1)) return;
    const auto slope = context.emit("Mul", {share, context.output(0)})[0];
    context.contribute_reduced(1, context.emit("Neg", {slope})[0]);
}

/// d(A^B)/dA = B A^(B-1) and d(A^B)/dB = A^B log A.
void pow_gradient(GradientContext& context) {
    const auto dy = context.output_gradient(0);
    const auto a = context.input(0);
    const auto b = context.input(1);
    if (context.wants(0)) {
        const auto less = context.emit("Sub", {b, context.constant(1.0)})[0];
        const auto slope = context.emit("Mul", {b, context.emit("Pow", {a, less})[0]})[0];
        context.contribute_reduced(0, context.emit("Mul", {dy, slope})[0]);
    }
    if (context.wants(1)) {
        const auto slope = context.emit("Mul", {context.output(0), context.emit("Log", {a})[0]})[0];
        context.contribute_reduced(1, context.emit("Mul", {dy, slope})[0]);
    }
}

/// Equal operands share the gradient, as in PyTorch's maximum.
void choice_gradient(GradientContext& context) {
    const bool largest = context.op_name() == "Max";
    for (std::size_t i = 0; i < 2; ++i) {
        if (!context.wants(i)) continue;
        const auto self = context.input(i);
        const auto other = context.input(1 - i);
        const auto mask = largest ? context.emit("AheadMask", {self, other})[0]
                                  : context.emit("AheadMask", {other, self})[0];
        context.contribute_reduced(i, context.emit("Mul", {context.output_gradient(0), mask})[0]);
    }
}

void where_gradient(GradientContext& context) {
    const auto zero = context.constant(0.0);
    const auto dy = context.output_gradient(0);
    const auto c = context.input(0);
    if (context.wants(1)) {
        context.contribute_reduced(1, context.emit("Where", {c, dy, zero})[0]);
    }
    if (context.wants(2)) {
        context.contribute_reduced(2, context.emit("Where", {c, zero, dy})[0]);
    }
}

constexpr auto kElementwiseOperators = std::to_array<Operator>({
    {"Relu", "X -> max(X, 0)", 1, 1, infer_same, relu_gradient},
    {"ReluGrad", "dY, Y -> dY where Y > 0, else 0", 2, 2, infer_pair, nullptr},
    {"LeakyRelu", "X -> X or alpha X", 1, 1, infer_same, gradient_by_input},
    {"Elu", "X -> X or alpha (exp X - 1)", 1, 1, infer_same, gradient_by_input},
    {"Sigmoid", "X -> 1 / (1 + exp -X)", 1, 1, infer_same, gradient_by_output},
    {"Tanh", "X -> tanh X", 1, 1, infer_same, gradient_by_output},
    {"Gelu", "X -> X Phi(X), Phi exact through erf", 1, 1, infer_same, gradient_by_input},
    {"HardSigmoid", "X -> alpha X + beta in [0, 1]", 1, 1, infer_same, gradient_by_input},
    {"HardSwish", "X -> X relu6(X + 3) / 6", 1, 1, infer_same, gradient_by_input},
    {"Softplus", "X -> log(1 + exp X)", 1, 1, infer_same, gradient_by_input},
    {"Exp", "X -> exp X", 1, 1, infer_same, gradient_by_output},
    {"Log", "X -> log X", 1, 1, infer_same, gradient_by_input},
    {"Sqrt", "X -> square root", 1, 1, infer_same, gradient_by_output},
    {"Reciprocal", "X -> 1 / X", 1, 1, infer_same, gradient_by_output},
    {"Erf", "X -> error function", 1, 1, infer_same, gradient_by_input},
    {"Abs", "X -> |X|", 1, 1, infer_same, gradient_by_input},
    {"Clip", "X -> X in [min, max], both attributes", 1, 1, infer_same, gradient_by_input},
    {"Neg", "X -> -X", 1, 1, infer_same, neg_gradient},
    {"FunctionGrad",
     "dY, X or Y -> dX of attribute `function`, from whichever of X and Y its slope needs",
     2,
     2,
     infer_pair,
     nullptr},
    {"Add", "A, B -> A + B, broadcast", 2, 2, infer_broadcast, add_gradient},
    {"Sub", "A, B -> A - B, broadcast", 2, 2, infer_broadcast, sub_gradient},
    {"Mul", "A, B -> A * B, broadcast", 2, 2, infer_broadcast, mul_gradient},
    {"Div", "A, B -> A / B, broadcast", 2, 2, infer_broadcast, div_gradient},
    {"Pow", "A, B -> A to the B, broadcast", 2, 2, infer_broadcast, pow_gradient},
    {"Max", "A, B -> the larger, broadcast", 2, 2, infer_broadcast, choice_gradient},
    {"Min", "A, B -> the smaller, broadcast", 2, 2, infer_broadcast, choice_gradient},
    {"AheadMask", "A, B -> 1 where A > B, 1/2 where equal, else 0", 2, 2, infer_broadcast, nullptr},
    {"EqualMask", "A, B -> 1 where A = B, else 0", 2, 2, infer_broadcast, nullptr},
    {"Where", "C, A, B -> A where C is not 0, else B", 3, 3, infer_broadcast, where_gradient},
    {"Identity", "X -> X", 1, 1, infer_same, identity_gradient},
    {"Cast",
     "X -> X as attribute `to`: float, or int32 cut off",
     1,
     1,
     infer_cast,
     identity_gradient},
});

}  // namespace

std::span<const Operator> elementwise_operators() {
    return kElementwiseOperators;
}

}  // namespace starling::compute
