#include "compute/onnx/export.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "compute/onnx/model_file.hpp"
#include "compute/ops/operator.hpp"
#include "compute/ops/view.hpp"
#include "compute/ops/window.hpp"

namespace starling::compute::onnx {

namespace {

using Ints = std::vector<std::int64_t>;

/// Operators that are written as they are, with those of their settings that ONNX knows.
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

ValueId scores_of(const Model& model) {
    for (const auto& node : model.graph.nodes()) {
        if (node.op->name == "SoftmaxCrossEntropyLoss") return node.inputs[0];
    }
    return ValueId::None;
}

class Exporter {
public:
    /// `other` is the same model for another batch size, or nullptr to fix the batch.
    Exporter(const Model& model, const Model* other) : model_(model), other_(other) {
        file_.opset = 13;
        file_.ir_version = 7;
        for (const auto& info : graph().parameters()) taken_.insert(info.name);
        taken_.insert({"values", "scores"});
    }

    Result<ModelFile> run(ParameterStore& store) {
        const auto scores = scores_of(model_);
        if (scores == ValueId::None) {
            return fail(FaultCode::Unsupported, "onnx: the model has no scores to export");
        }
        if (other_ != nullptr && !same_structure()) return fail(FaultCode::Unsupported, kVaries);
        mark(scores);
        add_ends(scores);
        for (std::size_t i = 0; i < graph().nodes().size(); ++i) {
            const auto& node = graph().nodes()[i];
            if (alive_[i]) write(node);
            if (fault_.has_value()) return *fault_;
        }
        put("Identity", {name(scores)}, "scores");
        add_parameters(store);
        return std::move(file_);
    }

    static constexpr const char* kVaries = "onnx: the graph depends on the batch size";

private:
    [[nodiscard]] const Graph& graph() const { return model_.graph; }

    void refuse(std::string message) {
        if (!fault_.has_value()) fault_ = fail(FaultCode::Unsupported, std::move(message));
    }

    [[nodiscard]] bool same_structure() const {
        const auto& a = graph().nodes();
        const auto& b = other_->graph.nodes();
        if (a.size() != b.size() || graph().value_count() != other_->graph.value_count()) {
            return false;
        }
        for (std::size_t i = 0; i < a.size(); ++i) {
            if (a[i].op != b[i].op || a[i].inputs != b[i].inputs) return false;
        }
        return true;
    }

    void mark(ValueId scores) {
        alive_.assign(graph().nodes().size(), false);
        needed_.assign(graph().value_count(), false);
        needed_[to_index(scores)] = true;
        for (std::size_t i = graph().nodes().size(); i > 0; --i) {
            const auto& node = graph().nodes()[i - 1];
            for (const auto id : node.outputs) alive_[i - 1] = alive_[i - 1] || needed(id);
            if (!alive_[i - 1]) continue;
            for (const auto id : node.inputs) {
                if (id != ValueId::None) needed_[to_index(id)] = true;
            }
        }
    }

    [[nodiscard]] bool needed(ValueId id) const { return needed_[to_index(id)]; }

    /// The shape with -1 where it follows the batch.
    [[nodiscard]] Shape free_shape(ValueId id) const {
        auto shape = graph().shape(id);
        if (other_ == nullptr) return shape;
        const auto& second = other_->graph.shape(id);
        for (std::size_t i = 0; i < shape.size() && i < second.size(); ++i) {
            if (shape[i] != second[i]) shape[i] = -1;
        }
        return shape;
    }

    void add_ends(ValueId scores) {
        const auto value = [&](const char* name, ValueId id) {
            return ValueMessage{name, DataType::Float, true, true, free_shape(id)};
        };
        file_.inputs.push_back(value("values", model_.values));
        file_.outputs.push_back(value("scores", scores));
        names_[model_.values] = "values";
    }

    void add_parameters(ParameterStore& store) {
        for (const auto& info : store.layout().parameters()) {
            for (std::size_t i = 0; i < graph().parameters().size(); ++i) {
                if (graph().parameters()[i].name != info.name) continue;
                if (!needed(graph().parameter_value(i))) continue;
                TensorMessage tensor;
                tensor.name = info.name;
                tensor.shape = info.shape;
                tensor.type = DataType::Float;
                store.read_tensor(info, [&](std::span<const float> values) {
                    tensor.floats.assign(values.begin(), values.end());
                });
                file_.initializers.push_back(std::move(tensor));
            }
        }
    }

    std::string fresh() {
        std::string made;
        do {
            made = "value_" + std::to_string(counter_++);
        } while (!taken_.insert(made).second);
        return made;
    }

    std::string name(ValueId id) {
        const auto found = names_.find(id);
        if (found != names_.end()) return found->second;
        const auto& value = graph().value(id);
        const bool parameter = value.kind == ValueKind::Parameter;
        return names_[id] = parameter ? graph().parameters()[value.parameter].name : fresh();
    }

    /// Adds a node and returns its result's name.
    std::string put(
        std::string_view op,
        std::vector<std::string> inputs,
        std::string output = {},
        std::vector<AttributeMessage> attributes = {}
    ) {
        NodeMessage node;
        node.op = op;
        node.inputs = std::move(inputs);
        node.outputs = {output.empty() ? fresh() : std::move(output)};
        node.attributes = std::move(attributes);
        file_.nodes.push_back(std::move(node));
        return file_.nodes.back().outputs[0];
    }

    static AttributeMessage setting(std::string_view key, Attribute value) {
        AttributeMessage attribute;
        attribute.name = key;
        attribute.value = std::move(value);
        return attribute;
    }

    /// Constants are nodes rather than initializers: an initializer says "train me".
    std::string constant(TensorMessage tensor, std::string output = {}) {
        AttributeMessage attribute;
        attribute.name = "value";
        attribute.tensor = std::move(tensor);
        return put("Constant", {}, std::move(output), {std::move(attribute)});
    }

    std::string list(const Ints& values) {
        TensorMessage tensor;
        tensor.shape = {static_cast<std::int64_t>(values.size())};
        tensor.type = DataType::Int64;
        tensor.integers = values;
        return constant(std::move(tensor));
    }

    std::string number(double value) {
        TensorMessage tensor;
        tensor.type = DataType::Float;
        tensor.floats = {static_cast<float>(value)};
        return constant(std::move(tensor));
    }

    std::string filled(const Shape& shape, double value, std::string output = {}) {
        AttributeMessage attribute;
        attribute.name = "value";
        attribute.tensor.emplace();
        attribute.tensor->type = DataType::Float;
        attribute.tensor->shape = {1};
        attribute.tensor->floats = {static_cast<float>(value)};
        return put("ConstantOfShape", {list(shape)}, std::move(output), {std::move(attribute)});
    }

    std::string cast(const std::string& x, DataType to, std::string output = {}) {
        return put("Cast", {x}, std::move(output), {setting("to", static_cast<std::int64_t>(to))});
    }

    void write(const Node& node) {
        const auto op = node.op->name;
        for (std::size_t i = 1; i < node.outputs.size(); ++i) {
            if (needed(node.outputs[i])) refuse_node(node, "a second result");
        }
        for (const auto& direct : kDirect) {
            if (direct.op == op) return write_direct(node, direct);
        }
        for (const auto& [name, write] : writers()) {
            if (name == op) return (this->*write)(node);
        }
        refuse_node(node, "this operator");
    }

    void refuse_node(const Node& node, const std::string& what) {
        refuse(
            "onnx: node '" + node.name + "' (" + std::string(node.op->name) + "): " + what +
            " has no ONNX form here"
        );
    }

    std::vector<std::string> operands(const Node& node) {
        std::vector<std::string> inputs;
        for (const auto id : node.inputs) inputs.push_back(id == ValueId::None ? "" : name(id));
        while (!inputs.empty() && inputs.back().empty()) inputs.pop_back();
        return inputs;
    }

    /// Files say the lowest opset that has all their operators: more runtimes read them.
    void want_opset(std::int64_t opset) {
        file_.opset = std::max(file_.opset, opset);
        // IR version 8 came with opset 15.
        if (file_.opset >= 15) file_.ir_version = 8;
    }

    void write_direct(const Node& node, const Direct& direct) {
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
    }

    // One writer for each operator that ONNX has otherwise or not at all.

    void write_reshape(const Node& node) {
        const auto shape = free_shape(node.outputs[0]);
        if (std::count(shape.begin(), shape.end(), -1) > 1) return refuse(kVaries);
        put("Reshape", {name(node.inputs[0]), list(shape)}, name(node.outputs[0]));
    }

    void write_expand(const Node& node) {
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

    void write_slice(const Node& node) {
        const auto& given = node.attributes;
        const auto starts = given.integers("starts", {});
        Ints axes;
        for (std::size_t i = 0; i < starts.size(); ++i)
            axes.push_back(static_cast<std::int64_t>(i));
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

    void write_pad(const Node& node) {
        put("Pad",
            {name(node.inputs[0]),
             list(node.attributes.integers("pads", {})),
             number(node.attributes.real("value", 0.0))},
            name(node.outputs[0]));
    }

    void write_sum(const Node& node) {
        std::vector<std::string> inputs{name(node.inputs[0])};
        const auto axes = node.attributes.integers("axes", {});
        if (!axes.empty()) inputs.push_back(list(axes));
        put("ReduceSum",
            std::move(inputs),
            name(node.outputs[0]),
            {setting("keepdims", node.attributes.integer("keepdims", 1))});
    }

    void write_clip(const Node& node) {
        std::vector<std::string> inputs{name(node.inputs[0])};
        for (const char* key : {"min", "max"}) {
            const bool there = node.attributes.has(key);
            inputs.push_back(there ? number(node.attributes.real(key, 0.0)) : std::string());
        }
        put("Clip", std::move(inputs), name(node.outputs[0]));
    }

    void write_cast(const Node& node) {
        const bool whole = node.attributes.text("to", "float") == "int32";
        cast(
            name(node.inputs[0]), whole ? DataType::Int32 : DataType::Float, name(node.outputs[0])
        );
    }

    void write_where(const Node& node) {
        const auto condition = cast(name(node.inputs[0]), DataType::Bool);
        put("Where", {condition, name(node.inputs[1]), name(node.inputs[2])}, name(node.outputs[0])
        );
    }

    void write_equal(const Node& node) {
        const auto same = put("Equal", operands(node));
        cast(same, DataType::Float, name(node.outputs[0]));
    }

    void write_ahead(const Node& node) {
        const auto more = cast(put("Greater", operands(node)), DataType::Float);
        const auto same = cast(put("Equal", operands(node)), DataType::Float);
        const auto half = put("Mul", {same, number(0.5)});
        put("Add", {more, half}, name(node.outputs[0]));
    }

    /// Source    Hendrycks and Gimpel (arXiv 1606.08415), section 2
    void write_gelu(const Node& node) {
        const auto x = name(node.inputs[0]);
        const auto erf = put("Erf", {put("Div", {x, number(std::sqrt(2.0))})});
        const auto sum = put("Add", {erf, number(1.0)});
        put("Mul", {put("Mul", {x, sum}), number(0.5)}, name(node.outputs[0]));
    }

    void write_constant(const Node& node) {
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

    void write_layer_norm(const Node& node) {
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

    /// A transposed convolution, which the graph holds as the gradient of one.
    void write_transposed(const Node& node) {
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

    void write_matmul(const Node& node) {
        for (const char* key : {"transA", "transB"}) {
            if (node.attributes.integer(key, 0) != 0) return refuse_node(node, "a transposed side");
        }
        put("MatMul", operands(node), name(node.outputs[0]));
    }

    /// Which tokens a token sees, [1,1,T,T]; one for all layers.
    std::string causal_mask(std::int64_t length) {
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

    /// Source    Vaswani et al. (arXiv 1706.03762), section 3.2
    void write_attention(const Node& node) {
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

    using Writer = void (Exporter::*)(const Node&);

    static std::span<const std::pair<std::string_view, Writer>> writers() {
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

    const Model& model_;
    const Model* other_;
    ModelFile file_;
    std::optional<Fault> fault_;
    std::vector<bool> alive_;
    std::vector<bool> needed_;
    std::map<ValueId, std::string> names_;
    std::set<std::string, std::less<>> taken_;
    std::map<std::int64_t, std::string> masks_;
    std::size_t counter_ = 0;
};

}  // namespace

Result<Bytes> export_onnx(const BuildInference& build, ParameterStore& store) {
    // Where two batch sizes give different numbers, the batch is what they follow.
    const auto two = build(2);
    const auto three = build(3);
    if (two.has_value() && three.has_value()) {
        const auto file = Exporter(*two, &*three).run(store);
        if (file.has_value()) return encode_model(*file);
        if (file.error().message != Exporter::kVaries) return file.error();
    }
    const auto one = build(1);
    if (one.has_error()) return one.error();
    const auto file = Exporter(*one, nullptr).run(store);
    if (file.has_error()) return file.error();
    return encode_model(*file);
}

}  // namespace starling::compute::onnx
