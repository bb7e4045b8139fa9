// Convolution over NCHW images with OIHW weights, and its two gradients.

#include <algorithm>
#include <array>

#include "compute/graph/gradient_context.hpp"
#include "compute/graph/operator.hpp"
#include "compute/graph/view.hpp"
#include "compute/graph/window.hpp"

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
    const auto groups = attributes.integer("group", 1);
    if (x.shape.size() != 4 || w.shape.size() != 4 || groups < 1 || groups > w.shape[0] ||
        w.shape[0] % groups != 0 || x.shape[1] % groups != 0 || x.shape[1] / groups != w.shape[1]) {
        return misfit(x, w);
    }
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

Attributes window_and_group(const Attributes& attributes) {
    auto kept = Window::from(attributes)->attributes();
    kept.set("group", attributes.integer("group", 1));
    return kept;
}

void conv_gradient(GradientContext& context) {
    const auto dy = context.output_gradient(0);
    auto attributes = window_and_group(context.attributes());
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
        {{dy[1], x[1] / attributes.integer("group", 1), window->kernel[0], window->kernel[1]}},
        {{dy[1]}}};
}

/// The gradient of a convolution is linear in both operands, and its own gradients are the
/// convolution and the weight gradient with the roles of image and slope exchanged. Transposed
/// convolutions need them.
void grad_input_gradient(GradientContext& context) {
    const auto slope = context.output_gradient(0);
    const auto attributes = window_and_group(context.attributes());
    if (context.wants(0)) {
        context.contribute(0, context.emit("Conv", {slope, context.input(1)}, attributes)[0]);
    }
    if (context.wants(1)) {
        const auto found = context.emit("ConvGradWeight", {context.input(0), slope}, attributes);
        context.contribute(1, found[0]);
    }
}

/// The image whose convolution has the operand's shape: H = stride (H' - 1) + reach - pads + extra.
InferredTypes infer_transposed(OperandTypes inputs, const Attributes& attributes) {
    const auto& x = *inputs[0];
    const auto& w = *inputs[1];
    const auto groups = attributes.integer("group", 1);
    const auto window = Window::from(attributes);
    if (window.has_error()) return window.error();
    const auto extra = attributes.integers("output_padding", {0, 0});
    if (x.shape.size() != 4 || w.shape.size() != 4 || groups < 1 || x.shape[1] != w.shape[0] ||
        groups > x.shape[1] || x.shape[1] % groups != 0 || window->kernel[0] != w.shape[2] ||
        window->kernel[1] != w.shape[3] || extra.size() != 2) {
        return misfit(x, w);
    }
    Shape y{x.shape[0], w.shape[1] * groups, 0, 0};
    for (std::size_t i = 0; i < 2; ++i) {
        if (extra[i] < 0 || extra[i] >= std::max(window->strides[i], window->dilations[i])) {
            return misfit(x, w);
        }
        y[i + 2] = window->strides[i] * (x.shape[i + 2] - 1) + extra[i] +
                   (window->kernel[i] - 1) * window->dilations[i] + 1 - window->pad_begin[i] -
                   window->pad_end[i];
    }
    const auto sound = check_shape(y);
    if (sound.has_error()) return misfit(x, w);
    // Even with the extra rows, the window must have exactly as many places as the operand has
    // rows.
    if (window->places(y[2], y[3]) != std::array<std::int64_t, 2>{x.shape[2], x.shape[3]}) {
        return misfit(x, w);
    }
    if (inputs.size() == 3 && inputs[2] != nullptr && inputs[2]->shape != Shape{y[1]}) {
        return misfit(x, w);
    }
    return std::vector<TensorType>{{std::move(y)}};
}

Expansion expand_transposed(
    Graph& graph, const std::vector<ValueId>& inputs, const Attributes& given
) {
    const std::array<const TensorType*, 2> operands{
        &graph.value(inputs[0]).type, &graph.value(inputs[1]).type};
    auto attributes = window_and_group(given);
    attributes.set("input_shape", infer_transposed(operands, given)->front().shape);
    const auto y = graph.emit("ConvGradInput", {inputs[0], inputs[1]}, attributes);
    if (inputs.size() < 3 || inputs[2] == ValueId::None) return y;
    const auto channels = graph.shape(y[0])[1];
    const auto bias = graph.emit("Reshape", {inputs[2]}, {{"shape", Shape{channels, 1, 1}}})[0];
    return graph.emit("Add", {y[0], bias});
}

constexpr std::array<Operator, 4> kConvolutionOperators{{
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
     grad_input_gradient},
    {"ConvGradWeight", "dY, X -> dW [O,C,h,w], dB [O]", 2, 2, infer_grad_weight, nullptr},
    {"ConvTranspose",
     "X [N,C,H,W], W [C,O,h,w], B [O] optional -> [N,O,H',W']: the gradient of a convolution",
     2,
     3,
     infer_transposed,
     nullptr,
     expand_transposed},
}};

}  // namespace

std::span<const Operator> convolution_operators() {
    return kConvolutionOperators;
}

}  // namespace starling::compute
