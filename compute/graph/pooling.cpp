// Pooling over NCHW images.

#include <array>

#include "compute/graph/gradient_context.hpp"
#include "compute/graph/operator.hpp"
#include "compute/graph/window.hpp"

namespace starling::compute {

namespace {

InferredTypes infer_pool(OperandTypes inputs, const Attributes& attributes) {
    const auto& x = inputs[0]->shape;
    const auto window = Window::from(attributes);
    if (window.has_error()) return window.error();
    if (x.size() == 4) {
        const auto places = window->places(x[2], x[3]);
        const bool padded = window->pad_begin[0] >= window->kernel[0] ||
                            window->pad_begin[1] >= window->kernel[1] ||
                            window->pad_end[0] >= window->kernel[0] ||
                            window->pad_end[1] >= window->kernel[1];
        if (places[0] >= 1 && places[1] >= 1 && !padded) {
            return std::vector<TensorType>{{{x[0], x[1], places[0], places[1]}}};
        }
    }
    return fail(FaultCode::BadValue, "the pooling window does not fit " + to_string(x));
}

InferredTypes infer_max_pool(OperandTypes inputs, const Attributes& attributes) {
    auto types = infer_pool(inputs, attributes);
    if (types.has_value()) types->push_back({types->front().shape, ElementType::I32});
    return types;
}

InferredTypes infer_average_pool(OperandTypes inputs, const Attributes& attributes) {
    if (attributes.integers("dilations", {1, 1}) != std::vector<std::int64_t>{1, 1}) {
        return fail(FaultCode::Unsupported, "AveragePool with dilations is not supported");
    }
    return infer_pool(inputs, attributes);
}

InferredTypes infer_global(OperandTypes inputs, const Attributes&) {
    const auto& x = inputs[0]->shape;
    if (x.size() != 4) {
        return fail(FaultCode::BadValue, "GlobalAveragePool wants NCHW, not " + to_string(x));
    }
    return std::vector<TensorType>{{{x[0], x[1], 1, 1}}};
}

InferredTypes infer_grad(OperandTypes, const Attributes& attributes) {
    return std::vector<TensorType>{{attributes.integers("input_shape", {})}};
}

void max_pool_gradient(GradientContext& context) {
    auto attributes = Window::from(context.attributes())->attributes();
    attributes.set("input_shape", context.input_shape(0));
    context.contribute(
        0,
        context.emit("MaxPoolGrad", {context.output_gradient(0), context.output(1)}, attributes)[0]
    );
}

void average_pool_gradient(GradientContext& context) {
    auto attributes = Window::from(context.attributes())->attributes();
    attributes.set("input_shape", context.input_shape(0));
    attributes.set("count_include_pad", context.attributes().integer("count_include_pad", 0));
    context.contribute(
        0, context.emit("AveragePoolGrad", {context.output_gradient(0)}, attributes)[0]
    );
}

void global_gradient(GradientContext& context) {
    const auto& x = context.input_shape(0);
    Window window;
    window.kernel = {x[2], x[3]};
    auto attributes = window.attributes();
    attributes.set("input_shape", x);
    context.contribute(
        0, context.emit("AveragePoolGrad", {context.output_gradient(0)}, attributes)[0]
    );
}

Expansion expand_global_max(Graph& graph, const std::vector<ValueId>& inputs, const Attributes&) {
    return graph.emit("ReduceMax", inputs, {{"axes", Shape{2, 3}}});
}

constexpr std::array<Operator, 6> kPoolingOperators{{
    {"MaxPool",
     "X [N,C,H,W] -> Y [N,C,H',W'], Indices: where each maximum lies, as H * width + W. A backend "
     "may keep its own encoding there",
     1,
     1,
     infer_max_pool,
     max_pool_gradient},
    {"MaxPoolGrad", "dY, Indices -> dX; attribute input_shape", 2, 2, infer_grad, nullptr},
    {"AveragePool", "X -> mean of each window", 1, 1, infer_average_pool, average_pool_gradient},
    {"AveragePoolGrad", "dY -> dX; attribute input_shape", 1, 1, infer_grad, nullptr},
    {"GlobalAveragePool", "X [N,C,H,W] -> [N,C,1,1]", 1, 1, infer_global, global_gradient},
    {"GlobalMaxPool", "X [N,C,H,W] -> [N,C,1,1]", 1, 1, infer_global, nullptr, expand_global_max},
}};

}  // namespace

std::span<const Operator> pooling_operators() {
    return kPoolingOperators;
}

}  // namespace starling::compute
