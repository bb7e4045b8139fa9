#pragma once

// A model as a graph of ONNX operators over values of static shape: NCHW activations, OIHW
// weights, one batch size per graph. The same graph carries the gradient, which autodiff.hpp
// appends as further nodes, and the fusions that passes.hpp makes.
//
// Invariant: nodes stand in an order in which every value is produced before it is used.
// Source    ONNX operator specification, opset 13 (names, attributes, semantics)

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "compute/arena/parameter_store.hpp"
#include "compute/graph/node.hpp"

namespace starling::compute {

/// Thread    any one
class Graph {
public:
    ValueId add_input(std::string name, TensorType type);
    ValueId add_parameter(ParameterInfo info);

    /// Appends a node and returns its outputs, whose types follow from the operator's shape rule.
    /// An operator that is written in terms of others appends nodes of those instead.
    /// Requires  inputs are values of this graph, or None
    /// Errors    Unsupported (no such operator), BadValue (operands that do not fit)
    [[nodiscard]] Result<std::vector<ValueId>> add(
        std::string_view op,
        std::vector<ValueId> inputs,
        Attributes attributes = {},
        std::string name = {}
    );

    /// Appends a node and returns all its outputs.
    /// Requires  operands that fit, as in gradient rules
    std::vector<ValueId> emit(
        std::string_view op, std::vector<ValueId> inputs, Attributes attributes = {}
    );

    [[nodiscard]] const std::vector<Node>& nodes() const { return nodes_; }

    [[nodiscard]] const std::vector<ParameterInfo>& parameters() const { return parameters_; }

    [[nodiscard]] std::size_t value_count() const { return values_.size(); }

    [[nodiscard]] const Value& value(ValueId id) const;

    [[nodiscard]] const Shape& shape(ValueId id) const { return value(id).type.shape; }

    /// Returns the value of a parameter by its index.
    [[nodiscard]] ValueId parameter_value(std::size_t parameter) const {
        return parameter_values_[parameter];
    }

    /// Replaces all nodes.
    /// Requires  an order in which every value is produced before it is used
    void replace_nodes(std::vector<Node> nodes) { nodes_ = std::move(nodes); }

private:
    ValueId add_value(Value value);

    std::vector<Value> values_;
    std::vector<Node> nodes_;
    std::vector<ParameterInfo> parameters_;
    std::vector<ValueId> parameter_values_;
};

}  // namespace starling::compute
