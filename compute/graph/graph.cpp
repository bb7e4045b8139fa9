#include "compute/graph/graph.hpp"

#include "base/check.hpp"
#include "compute/graph/operator.hpp"

namespace starling::compute {

ValueId Graph::add_value(Value value) {
    values_.push_back(std::move(value));
    return static_cast<ValueId>(values_.size() - 1);
}

const Value& Graph::value(ValueId id) const {
    STARLING_CHECK(id != ValueId::None && to_index(id) < values_.size());
    return values_[to_index(id)];
}

ValueId Graph::add_input(std::string name, TensorType type) {
    return add_value({std::move(name), std::move(type), ValueKind::Input, 0});
}

ValueId Graph::add_parameter(ParameterInfo info) {
    const auto id = add_value(
        {info.name, {info.shape, ElementType::F32}, ValueKind::Parameter, parameters_.size()}
    );
    parameters_.push_back(std::move(info));
    parameter_values_.push_back(id);
    return id;
}

Result<std::vector<ValueId>> Graph::add(
    std::string_view op, std::vector<ValueId> inputs, Attributes attributes, std::string name
) {
    const Operator* found = find_operator(op);
    if (found == nullptr) {
        return fail(FaultCode::Unsupported, "operator '" + std::string(op) + "' is not supported");
    }
    if (name.empty()) name = std::string(op) + "_" + std::to_string(nodes_.size());
    std::vector<const TensorType*> types;
    for (const auto id : inputs) {
        types.push_back(id == ValueId::None ? nullptr : &value(id).type);
    }
    auto outputs = infer_types(*found, types, attributes);
    if (outputs.has_error()) {
        return fail(outputs.error().code, name + ": " + outputs.error().message);
    }
    if (found->expand != nullptr) {
        auto expansion = found->expand(*this, inputs, attributes);
        if (!expansion.empty()) return expansion;
    }
    Node node{found, name, std::move(inputs), {}, std::move(attributes)};
    for (std::size_t i = 0; i < outputs->size(); ++i) {
        const auto suffix = i == 0 ? std::string() : ":" + std::to_string(i);
        node.outputs.push_back(
            add_value({name + suffix, std::move((*outputs)[i]), ValueKind::Computed, 0})
        );
    }
    nodes_.push_back(std::move(node));
    return nodes_.back().outputs;
}

std::vector<ValueId> Graph::emit(
    std::string_view op, std::vector<ValueId> inputs, Attributes attributes
) {
    auto added = add(op, std::move(inputs), std::move(attributes));
    STARLING_CHECK(added.has_value());
    return *added;
}

}  // namespace starling::compute
