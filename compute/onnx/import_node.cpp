// The part of Importer that translations use: reading a node and adding to the graph.

#include <limits>

#include "compute/onnx/importer.hpp"

namespace starling::compute::onnx {

namespace {

std::int64_t to_integer(double value) {
    // The ends of a slice are often the largest integer, which a double rounds up.
    constexpr double kLimit = 9.2e18;
    if (!(value < kLimit)) return std::numeric_limits<std::int64_t>::max();
    if (value < -kLimit) return std::numeric_limits<std::int64_t>::min() + 1;
    return static_cast<std::int64_t>(value);
}

}  // namespace

const AttributeMessage* Importer::attribute(std::string_view name) const {
    for (const auto& attribute : node_->attributes) {
        if (attribute.name == name) return &attribute;
    }
    return nullptr;
}

bool Importer::wants(std::size_t i) const {
    return i < node_->outputs.size() && !node_->outputs[i].empty() &&
           uses_.contains(node_->outputs[i]);
}

ValueId Importer::operand(std::size_t i) {
    if (!ok()) return ValueId::None;
    if (!has(i)) {
        refuse(FaultCode::BadFormat, "operand " + std::to_string(i) + " is missing");
        return ValueId::None;
    }
    return materialize(node_->inputs[i], *find(node_->inputs[i]));
}

std::vector<ValueId> Importer::operands() {
    std::vector<ValueId> ids;
    for (std::size_t i = 0; i < operand_count(); ++i) {
        ids.push_back(has(i) ? operand(i) : ValueId::None);
    }
    while (!ids.empty() && ids.back() == ValueId::None) ids.pop_back();
    return ids;
}

const Known* Importer::known(std::size_t i) {
    return has(i) && ok() ? know(*find(node_->inputs[i])) : nullptr;
}

/// Float initializers count as parameters here: folding one would hide it from training.
bool Importer::all_known() {
    for (const auto& name : node_->inputs) {
        if (name.empty()) continue;
        const auto& entry = *find(name);
        const bool setting = entry.known != nullptr && entry.initializer == nullptr;
        const bool fixed =
            entry.initializer != nullptr &&
            (entry.fixed || !is_real(entry.initializer->type) || entry.initializer->shape.empty());
        if (!setting && !fixed) return false;
    }
    return true;
}

Ints Importer::integers(std::size_t i) {
    const auto* found = known(i);
    if (found == nullptr) {
        refuse(
            FaultCode::Unsupported,
            "operand " + std::to_string(i) + " must be fixed in the file: shapes are static here"
        );
        return {};
    }
    Ints values;
    for (const auto value : found->values) values.push_back(to_integer(value));
    return values;
}

double Importer::real(std::size_t i) {
    const auto* found = known(i);
    if (found != nullptr && found->values.size() == 1) return found->values[0];
    refuse(
        FaultCode::Unsupported,
        "operand " + std::to_string(i) + " must be one number that is fixed in the file"
    );
    return 0.0;
}

Ints Importer::integers_or(std::size_t i, std::string_view key, Ints fallback) {
    if (has(i)) return integers(i);
    return attributes_.integers(key, std::move(fallback));
}

Kind Importer::kind(std::size_t i) const {
    if (!has(i)) return Kind::Real;
    const auto found = entries_.find(node_->inputs[i]);
    return found == entries_.end() ? Kind::Real : found->second.kind;
}

Shape Importer::shape_of(std::size_t i) {
    if (!has(i) || !ok()) return {};
    const auto& entry = *find(node_->inputs[i]);
    if (entry.id != ValueId::None) return model_.graph.shape(entry.id);
    if (entry.known != nullptr) return entry.known->shape;
    return entry.initializer->shape;
}

std::string Importer::parameter_name(std::size_t i) const {
    if (!has(i)) return {};
    const auto found = entries_.find(node_->inputs[i]);
    const bool parameter = found != entries_.end() && found->second.initializer != nullptr;
    return parameter ? options_.prefix + node_->inputs[i] : std::string();
}

void Importer::bind(std::size_t output, ValueId id, Kind kind) {
    if (!ok() || id == ValueId::None || output >= node_->outputs.size()) return;
    if (node_->outputs[output].empty()) return;
    Entry entry;
    entry.id = id;
    entry.kind = kind;
    entries_.insert_or_assign(node_->outputs[output], std::move(entry));
}

void Importer::bind(std::size_t output, Known known) {
    if (!ok() || output >= node_->outputs.size() || node_->outputs[output].empty()) return;
    if (node_->op != "Constant" && !charge(known.values.size())) return;
    Entry entry;
    entry.kind = known.kind;
    entry.known = std::make_shared<Known>(std::move(known));
    entries_.insert_or_assign(node_->outputs[output], std::move(entry));
}

bool Importer::charge(std::size_t elements) {
    charged_ += elements;
    if (charged_ <= kChargedElementsMax + file_.bytes) return true;
    refuse(FaultCode::Oversized, "the computed constants have too many elements together");
    return false;
}

std::vector<ValueId> Importer::emit_all(
    std::string_view op, std::vector<ValueId> inputs, Attributes attributes
) {
    if (!ok()) return {};
    const auto name = node_ == nullptr ? std::string("output") : node_name();
    auto added = model_.graph.add(op, std::move(inputs), std::move(attributes), name);
    if (added.has_value()) return *added;
    auto message = added.error().message;
    if (message.starts_with(name + ": ")) message.erase(0, name.size() + 2);
    refuse(added.error().code, std::move(message));
    return {};
}

ValueId Importer::emit(std::string_view op, std::vector<ValueId> inputs, Attributes attributes) {
    const auto made = emit_all(op, std::move(inputs), std::move(attributes));
    return made.empty() ? ValueId::None : made.front();
}

ValueId Importer::constant(double value) {
    return emit("Constant", {}, {{"value", std::vector<double>{value}}});
}

ValueId Importer::constant(const Known& known) {
    if (known.values.empty()) {
        refuse(FaultCode::Unsupported, "a tensor without elements is not supported");
        return ValueId::None;
    }
    if (!charge(known.values.size())) return ValueId::None;
    Attributes attributes{{"shape", known.shape}};
    if (known.kind == Kind::Integer) {
        auto values = known.values;
        for (auto& value : values) value = std::clamp(value, -2147483648.0, 2147483647.0);
        attributes.set("value", std::move(values));
        attributes.set("to", std::string("int32"));
    } else {
        attributes.set("value", known.values);
    }
    return emit("Constant", {}, std::move(attributes));
}

ValueId Importer::reshape(ValueId x, const Shape& shape) {
    return ok() && this->shape(x) == shape ? x : emit("Reshape", {x}, {{"shape", shape}});
}

Shape Importer::shape(ValueId x) const {
    return ok() && x != ValueId::None ? model_.graph.shape(x) : Shape{};
}

bool Importer::is_integer_value(ValueId x) const {
    return ok() && x != ValueId::None && model_.graph.value(x).type.element == ElementType::I32;
}

}  // namespace starling::compute::onnx
