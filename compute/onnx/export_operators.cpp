#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "compute/graph/operator.hpp"
#include "compute/graph/view.hpp"
#include "compute/graph/window.hpp"
#include "compute/onnx/exporter.hpp"

namespace starling::compute::onnx {

namespace {

/// Operators that are written unchanged, with those of their settings that ONNX knows.
struct Direct {
    std::string_view op;
    std::string_view settings;  ///< comma-separated
};

constexpr auto kDirect = std::to_array<Direct>({
    {"Relu", ""},
    {"LeakyRelu", "alpha"},
    {"Elu", "alpha"},
    {"Sigmoid", ""},
    {"Tanh", ""},
    {"HardSigmoid", "alpha,beta"},
    {"HardSwish", ""},
    {"Softplus", ""},
    {"Exp", ""},
    {"Log", ""},
    {"Sqrt", ""},
    {"Reciprocal", ""},
    {"Erf", ""},
    {"Abs", ""},
    {"Neg", ""},
    {"Add", ""},
    {"Sub", ""},
    {"Mul", ""},
    {"Div", ""},
    {"Pow", ""},
    {"Max", ""},
    {"Min", ""},
    {"Identity", ""},
    {"Softmax", "axis"},
    {"LogSoftmax", "axis"},
    {"Transpose", "perm"},
    {"Concat", "axis"},
    {"Flatten", "axis"},
    {"Gather", "axis"},
    {"Gemm", "transA,transB"},
    {"Conv", "kernel_shape,strides,dilations,pads,group"},
    {"MaxPool", "kernel_shape,strides,dilations,pads"},
    {"AveragePool", "kernel_shape,strides,pads,count_include_pad"},
    {"GlobalAveragePool", ""},
    {"BatchNormalization", "epsilon"},
    {"ReduceMean", "axes,keepdims"},
    {"ReduceMax", "axes,keepdims"},
});

/// The kinds of settings that ONNX wants for a name.
bool is_real_setting(std::string_view key) {
    return key == "alpha" || key == "beta" || key == "epsilon";
}

bool is_list_setting(std::string_view key) {
    return key == "perm" || key == "kernel_shape" || key == "strides" || key == "dilations" ||
           key == "pads" || key == "axes";
}

}  // namespace

bool Exporter::write_direct(const Node& node) {
    const auto found = std::find_if(kDirect.begin(), kDirect.end(), [&](const Direct& direct) {
        return direct.op == node.op->name;
    });
    if (found == kDirect.end()) return false;
    const auto& direct = *found;
    if (direct.op == "HardSwish") want_opset(14);
    std::vector<AttributeMessage> attributes;
    std::string_view rest = direct.settings;
    while (!rest.empty()) {
        const auto key = rest.substr(0, rest.find(','));
        rest.remove_prefix(std::min(rest.size(), key.size() + 1));
        if (!node.attributes.has(key)) continue;
        if (is_real_setting(key)) {
            attributes.push_back(setting(key, node.attributes.real(key, 0.0)));
        } else if (is_list_setting(key)) {
            const auto values = node.attributes.integers(key, {});
            if (!values.empty()) attributes.push_back(setting(key, values));
        } else {
            attributes.push_back(setting(key, node.attributes.integer(key, 0)));
        }
    }
    put(node.op->name, operands(node), name(node.outputs[0]), std::move(attributes));
    return true;
}

void Exporter::write_reshape(const Node& node) {
    const auto shape = free_shape(node.outputs[0]);
    if (std::count(shape.begin(), shape.end(), -1) > 1) return refuse(kVaries);
    put("Reshape", {name(node.inputs[0]), list(shape)}, name(node.outputs[0]));
}

void Exporter::write_expand(const Node& node) {
    auto shape = free_shape(node.outputs[0]);
    const auto& x = graph().shape(node.inputs[0]);
    const auto& y = graph().shape(node.outputs[0]);
    for (std::size_t i = 0; i < shape.size(); ++i) {
        if (shape[i] >= 0) continue;
        const auto added = y.size() - x.size();
        if (i < added || x[i - added] != y[i]) return refuse(kVaries);
        shape[i] = 1;
    }
    put("Expand", {name(node.inputs[0]), list(shape)}, name(node.outputs[0]));
}

void Exporter::write_slice(const Node& node) {
    const auto& given = node.attributes;
    const auto starts = given.integers("starts", {});
    Ints axes;
    for (std::size_t i = 0; i < starts.size(); ++i) axes.push_back(static_cast<std::int64_t>(i));
    axes = given.integers("axes", axes);
    const auto free = free_shape(node.inputs[0]);
    for (const auto axis : axes) {
        const auto at = normal_axis(axis, free.size());
        if (at >= 0 && free[static_cast<std::size_t>(at)] < 0) return refuse(kVaries);
    }
    put("Slice",
        {name(node.inputs[0]),
         list(starts),
         list(given.integers("ends", {})),
         list(axes),
         list(given.integers("steps", Ints(starts.size(), 1)))},
        name(node.outputs[0]));
}

void Exporter::write_pad(const Node& node) {
    put("Pad",
        {name(node.inputs[0]),
         list(node.attributes.integers("pads", {})),
         number(node.attributes.real("value", 0.0))},
        name(node.outputs[0]));
}

void Exporter::write_sum(const Node& node) {
    std::vector<std::string> inputs{name(node.inputs[0])};
    const auto axes = node.attributes.integers("axes", {});
    if (!axes.empty()) inputs.push_back(list(axes));
    put("ReduceSum",
        std::move(inputs),
        name(node.outputs[0]),
        {setting("keepdims", node.attributes.integer("keepdims", 1))});
}

void Exporter::write_clip(const Node& node) {
    std::vector<std::string> inputs{name(node.inputs[0])};
    for (const char* key : {"min", "max"}) {
        const bool there = node.attributes.has(key);
        inputs.push_back(there ? number(node.attributes.real(key, 0.0)) : std::string());
    }
    put("Clip", std::move(inputs), name(node.outputs[0]));
}

void Exporter::write_cast(const Node& node) {
    const bool whole = node.attributes.text("to", "float") == "int32";
    cast(name(node.inputs[0]), whole ? DataType::Int32 : DataType::Float, name(node.outputs[0]));
}

void Exporter::write_where(const Node& node) {
    const auto condition = cast(name(node.inputs[0]), DataType::Bool);
    put("Where", {condition, name(node.inputs[1]), name(node.inputs[2])}, name(node.outputs[0]));
}

void Exporter::write_equal(const Node& node) {
    const auto same = put("Equal", operands(node));
    cast(same, DataType::Float, name(node.outputs[0]));
}

void Exporter::write_ahead(const Node& node) {
    const auto more = cast(put("Greater", operands(node)), DataType::Float);
    const auto same = cast(put("Equal", operands(node)), DataType::Float);
    const auto half = put("Mul", {same, number(0.5)});
    put("Add", {more, half}, name(node.outputs[0]));
}

void Exporter::write_gelu(const Node& node) {
    const auto x = name(node.inputs[0]);
    const auto erf = put("Erf", {put("Div", {x, number(std::sqrt(2.0))})});
    const auto sum = put("Add", {erf, number(1.0)});
    put("Mul", {put("Mul", {x, sum}), number(0.5)}, name(node.outputs[0]));
}

void Exporter::write_constant(const Node& node) {
    const auto values = node.attributes.reals("value");
    const auto& type = graph().value(node.outputs[0]).type;
    if (free_shape(node.outputs[0]) != type.shape) return refuse(kVaries);
    const auto output = name(node.outputs[0]);
    const bool whole = type.element == ElementType::I32;
    if (values.size() == 1 && element_count(type.shape) > 1 && !whole) {
        filled(type.shape, values[0], output);
        return;
    }
    TensorMessage tensor;
    tensor.shape = type.shape;
    tensor.type = whole ? DataType::Int32 : DataType::Float;
    const auto count = static_cast<std::size_t>(element_count(type.shape));
    for (std::size_t i = 0; i < count; ++i) {
        const double value = values[values.size() == 1 ? 0 : i];
        if (whole) {
            tensor.integers.push_back(static_cast<std::int64_t>(value));
        } else {
            tensor.floats.push_back(static_cast<float>(value));
        }
    }
    constant(std::move(tensor), output);
}

void Exporter::write_layer_norm(const Node& node) {
    want_opset(17);
    auto inputs = operands(node);
    const auto& x = graph().shape(node.inputs[0]);
    const auto axis = normal_axis(node.attributes.integer("axis", -1), x.size());
    if (inputs.size() == 1) inputs.emplace_back();
    if (inputs[1].empty()) inputs[1] = filled(Shape(x.begin() + axis, x.end()), 1.0);
    put("LayerNormalization",
        std::move(inputs),
        name(node.outputs[0]),
        {setting("axis", axis), setting("epsilon", node.attributes.real("epsilon", 1e-5))});
}

void Exporter::write_transposed(const Node& node) {
    const auto window = *Window::from(node.attributes);
    const auto& x = graph().shape(node.inputs[0]);
    const auto& y = graph().shape(node.outputs[0]);
    Ints extra;
    for (std::size_t i = 0; i < 2; ++i) {
        const auto reach = (window.kernel[i] - 1) * window.dilations[i] + 1;
        extra.push_back(
            y[i + 2] - window.strides[i] * (x[i + 2] - 1) - reach + window.pad_begin[i] +
            window.pad_end[i]
        );
    }
    std::vector<AttributeMessage> attributes;
    const auto settings = window.attributes();
    for (const char* key : {"kernel_shape", "strides", "dilations", "pads"}) {
        attributes.push_back(setting(key, settings.integers(key, {})));
    }
    attributes.push_back(setting("group", node.attributes.integer("group", 1)));
    attributes.push_back(setting("output_padding", extra));
    put("ConvTranspose", operands(node), name(node.outputs[0]), std::move(attributes));
}

void Exporter::write_matmul(const Node& node) {
    for (const char* key : {"transA", "transB"}) {
        if (node.attributes.integer(key, 0) != 0) return refuse_node(node, "a transposed side");
    }
    put("MatMul", operands(node), name(node.outputs[0]));
}

std::string Exporter::causal_mask(std::int64_t length) {
    auto& made = masks_[length];
    if (!made.empty()) return made;
    TensorMessage tensor;
    tensor.shape = {1, 1, length, length};
    tensor.type = DataType::Bool;
    for (std::int64_t i = 0; i < length * length; ++i) {
        tensor.integers.push_back(i % length <= i / length ? 1 : 0);
    }
    return made = constant(std::move(tensor));
}

void Exporter::write_attention(const Node& node) {
    const auto& x = graph().shape(node.inputs[0]);
    const auto heads = node.attributes.integer("heads", 1);
    const auto width = x[2] / 3;
    const auto head = width / heads;
    const auto part = [&](std::int64_t i, const Ints& order) {
        const auto cut =
            put("Slice",
                {name(node.inputs[0]), list({i * width}), list({(i + 1) * width}), list({2})});
        const auto apart = put("Reshape", {cut, list({0, x[1], heads, head})});
        return put("Transpose", {apart}, {}, {setting("perm", order)});
    };
    const auto q = part(0, {0, 2, 1, 3});
    const auto k = part(1, {0, 2, 3, 1});
    const auto v = part(2, {0, 2, 1, 3});
    const auto scale = number(1.0 / std::sqrt(static_cast<double>(head)));
    const auto scores = put("Mul", {put("MatMul", {q, k}), scale});
    const auto low = number(static_cast<double>(std::numeric_limits<float>::lowest()));
    const auto seen = put("Where", {causal_mask(x[1]), scores, low});
    const auto weights = put("Softmax", {seen}, {}, {setting("axis", std::int64_t{3})});
    const auto mixed = put("MatMul", {weights, v});
    const auto back = put("Transpose", {mixed}, {}, {setting("perm", Ints{0, 2, 1, 3})});
    put("Reshape", {back, list({0, x[1], width})}, name(node.outputs[0]));
}

std::span<const std::pair<std::string_view, Exporter::Writer>> Exporter::writers() {
    static constexpr std::pair<std::string_view, Writer> kWriters[] = {
        {"Reshape", &Exporter::write_reshape},
        {"Squeeze", &Exporter::write_reshape},
        {"Unsqueeze", &Exporter::write_reshape},
        {"Expand", &Exporter::write_expand},
        {"Slice", &Exporter::write_slice},
        {"Pad", &Exporter::write_pad},
        {"ReduceSum", &Exporter::write_sum},
        {"Clip", &Exporter::write_clip},
        {"Cast", &Exporter::write_cast},
        {"Where", &Exporter::write_where},
        {"EqualMask", &Exporter::write_equal},
        {"AheadMask", &Exporter::write_ahead},
        {"Gelu", &Exporter::write_gelu},
        {"Constant", &Exporter::write_constant},
        {"LayerNormalization", &Exporter::write_layer_norm},
        {"ConvGradInput", &Exporter::write_transposed},
        {"MatMul", &Exporter::write_matmul},
        {"CausalAttention", &Exporter::write_attention},
    };
    return kWriters;
}

}  // namespace starling::compute::onnx
