// Convolution over NCHW images with OIHW weights, and its two gradients.

#include <array>

#include "compute/ops/operator.hpp"
#include "compute/ops/window.hpp"

namespace starling::compute {

namespace {

Fault misfit(const TensorType& x, const TensorType& w) {
    return fail(
        FaultCode::BadValue,
        "a convolution of " + to_string(x.shape) + " with weights " + to_string(w.shape) +
            " does not fit"
    );
}

InferredTypes infer_conv(OperandTypes inputs, const Attributes& attributes) {
    const auto& x = *inputs[0];
    const auto& w = *inputs[1];
    if (attributes.integer("group", 1) != 1) {
        return fail(FaultCode::Unsupported, "grouped convolutions are not supported");
    }
    if (x.shape.size() != 4 || w.shape.size() != 4 || x.shape[1] != w.shape[1]) return misfit(x, w);
    const auto window = Window::from(attributes);
    if (window.has_error()) return window.error();
    if (window->kernel[0] != w.shape[2] || window->kernel[1] != w.shape[3]) return misfit(x, w);
    const auto places = window->places(x.shape[2], x.shape[3]);
    if (places[0] < 1 || places[1] < 1) return misfit(x, w);
    if (inputs.size() == 3 && inputs[2] != nullptr && inputs[2]->shape != Shape{w.shape[0]}) {
        return fail(
            FaultCode::BadValue, "bias " + to_string(inputs[2]->shape) + " does not fit the weights"
        );
    }
    return std::vector<TensorType>{{{x.shape[0], w.shape[0], places[0], places[1]}}};
}

void conv_gradient(GradientContext& context) {
    const auto dy = context.output_gradient(0);
    auto attributes = Window::from(context.attributes())->attributes();
    if (context.wants(0)) {
        auto given = attributes;
        given.set("input_shape", context.input_shape(0));
        context.contribute(0, context.emit("ConvGradInput", {dy, context.input(1)}, given)[0]);
    }
    if (context.wants(1) || context.wants(2)) {
        const auto gradients = context.emit("ConvGradWeight", {dy, context.input(0)}, attributes);
        if (context.wants(1)) context.contribute(1, gradients[0]);
        if (context.wants(2)) context.contribute(2, gradients[1]);
    }
}

InferredTypes infer_grad_input(OperandTypes, const Attributes& attributes) {
    return std::vector<TensorType>{{attributes.integers("input_shape", {})}};
}

InferredTypes infer_grad_weight(OperandTypes inputs, const Attributes& attributes) {
    const auto& dy = inputs[0]->shape;
    const auto& x = inputs[1]->shape;
    const auto window = Window::from(attributes);
    if (window.has_error()) return window.error();
    if (dy.size() != 4 || x.size() != 4) return misfit(*inputs[1], *inputs[0]);
    return std::vector<TensorType>{
        {{dy[1], x[1], window->kernel[0], window->kernel[1]}}, {{dy[1]}}};
}

constexpr std::array<Operator, 3> kOperators{{
    {"Conv",
     "X [N,C,H,W], W [O,C,h,w], B [O] optional -> [N,O,H',W']: cross-correlation",
     2,
     3,
     infer_conv,
     conv_gradient},
    {"ConvGradInput",
     "dY, W -> dX [N,C,H,W]; attribute input_shape",
     2,
     2,
     infer_grad_input,
     nullptr},
    {"ConvGradWeight", "dY, X -> dW [O,C,h,w], dB [O]", 2, 2, infer_grad_weight, nullptr},
}};

}  // namespace

std::span<const Operator> convolution_operators() {
    return kOperators;
}

}  // namespace starling::compute
