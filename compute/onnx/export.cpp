#include "compute/onnx/export.hpp"

#include <algorithm>

#include "compute/graph/operator.hpp"
#include "compute/onnx/exporter.hpp"

namespace starling::compute::onnx {

Exporter::Exporter(const Model& model, const Model* other) : model_(model), other_(other) {
    file_.opset = 13;
    file_.ir_version = 7;
    for (const auto& info : graph().parameters()) taken_.insert(info.name);
    input_name_ = free_name("values");
    output_name_ = free_name("scores");
}

Result<ModelFile> Exporter::run(ParameterStore& store) {
    const auto scores = model_.scores;
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
    put("Identity", {name(scores)}, output_name_);
    add_parameters(store);
    return std::move(file_);
}

void Exporter::refuse(std::string message) {
    if (!fault_.has_value()) fault_ = fail(FaultCode::Unsupported, std::move(message));
}

bool Exporter::same_structure() const {
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

void Exporter::mark(ValueId scores) {
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

Shape Exporter::free_shape(ValueId id) const {
    auto shape = graph().shape(id);
    if (other_ == nullptr) return shape;
    const auto& second = other_->graph.shape(id);
    for (std::size_t i = 0; i < shape.size() && i < second.size(); ++i) {
        if (shape[i] != second[i]) shape[i] = -1;
    }
    return shape;
}

void Exporter::add_ends(ValueId scores) {
    const auto value = [&](const std::string& name, ValueId id) {
        return ValueMessage{name, DataType::Float, true, true, free_shape(id)};
    };
    file_.inputs.push_back(value(input_name_, model_.values));
    file_.outputs.push_back(value(output_name_, scores));
    names_[model_.values] = input_name_;
}

void Exporter::add_parameters(ParameterStore& store) {
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

std::string Exporter::free_name(std::string wanted) {
    while (!taken_.insert(wanted).second) wanted += '_';
    return wanted;
}

std::string Exporter::fresh() {
    std::string made;
    do {
        made = "value_" + std::to_string(counter_++);
    } while (!taken_.insert(made).second);
    return made;
}

std::string Exporter::name(ValueId id) {
    const auto found = names_.find(id);
    if (found != names_.end()) return found->second;
    const auto& value = graph().value(id);
    const bool parameter = value.kind == ValueKind::Parameter;
    return names_[id] = parameter ? graph().parameters()[value.parameter].name : fresh();
}

std::string Exporter::put(
    std::string_view op,
    std::vector<std::string> inputs,
    std::string output,
    std::vector<AttributeMessage> attributes
) {
    NodeMessage node;
    node.op = op;
    node.inputs = std::move(inputs);
    node.outputs = {output.empty() ? fresh() : std::move(output)};
    node.attributes = std::move(attributes);
    file_.nodes.push_back(std::move(node));
    return file_.nodes.back().outputs[0];
}

AttributeMessage Exporter::setting(std::string_view key, Attribute value) {
    AttributeMessage attribute;
    attribute.name = key;
    attribute.value = std::move(value);
    return attribute;
}

std::string Exporter::constant(TensorMessage tensor, std::string output) {
    AttributeMessage attribute;
    attribute.name = "value";
    attribute.tensor = std::move(tensor);
    return put("Constant", {}, std::move(output), {std::move(attribute)});
}

std::string Exporter::list(const Ints& values) {
    TensorMessage tensor;
    tensor.shape = {static_cast<std::int64_t>(values.size())};
    tensor.type = DataType::Int64;
    tensor.integers = values;
    return constant(std::move(tensor));
}

std::string Exporter::number(double value) {
    TensorMessage tensor;
    tensor.type = DataType::Float;
    tensor.floats = {static_cast<float>(value)};
    return constant(std::move(tensor));
}

std::string Exporter::filled(const Shape& shape, double value, std::string output) {
    AttributeMessage attribute;
    attribute.name = "value";
    attribute.tensor.emplace();
    attribute.tensor->type = DataType::Float;
    attribute.tensor->shape = {1};
    attribute.tensor->floats = {static_cast<float>(value)};
    return put("ConstantOfShape", {list(shape)}, std::move(output), {std::move(attribute)});
}

std::string Exporter::cast(const std::string& x, DataType to, std::string output) {
    return put("Cast", {x}, std::move(output), {setting("to", static_cast<std::int64_t>(to))});
}

void Exporter::write(const Node& node) {
    const auto op = node.op->name;
    for (std::size_t i = 1; i < node.outputs.size(); ++i) {
        if (needed(node.outputs[i])) refuse_node(node, "a second result");
    }
    if (write_direct(node)) return;
    for (const auto& [name, write] : writers()) {
        if (name == op) return (this->*write)(node);
    }
    refuse_node(node, "this operator");
}

void Exporter::refuse_node(const Node& node, const std::string& what) {
    refuse(
        "onnx: node '" + node.name + "' (" + std::string(node.op->name) + "): " + what +
        " has no ONNX form here"
    );
}

std::vector<std::string> Exporter::operands(const Node& node) {
    std::vector<std::string> inputs;
    for (const auto id : node.inputs) inputs.push_back(id == ValueId::None ? "" : name(id));
    while (!inputs.empty() && inputs.back().empty()) inputs.pop_back();
    return inputs;
}

void Exporter::want_opset(std::int64_t opset) {
    file_.opset = std::max(*file_.opset, opset);
    // IR version 8 came with opset 15.
    if (*file_.opset >= 15) file_.ir_version = 8;
}

Result<Bytes> export_onnx(
    const BuildInference& build, ParameterStore& store, const Metadata& metadata
) {
    const auto written = [&metadata](ModelFile& file) {
        file.metadata = metadata;
        return encode_model(file);
    };
    // A dimension that differs between two batch sizes depends on the batch.
    const auto two = build(2);
    const auto three = build(3);
    if (two.has_value() && three.has_value()) {
        auto file = Exporter(*two, &*three).run(store);
        if (file.has_value()) return written(*file);
        if (file.error().message != Exporter::kVaries) return file.error();
    }
    const auto one = build(1);
    if (one.has_error()) return one.error();
    auto file = Exporter(*one, nullptr).run(store);
    if (file.has_error()) return file.error();
    return written(*file);
}

}  // namespace starling::compute::onnx
