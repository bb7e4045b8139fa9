#pragma once

// A model as a graph of ONNX operators over values of static shape: NCHW activations, OIHW
// weights, one batch size per graph. The same graph carries the gradient, which autodiff.hpp
// appends as further nodes, and the fusions that passes.hpp makes.
//
// Invariant: nodes stand in an order in which every value is produced before it is used.
// Source    ONNX operator specification, opset 13 (names, attributes, semantics)

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.hpp"
#include "compute/parameter_store.hpp"
#include "compute/shape.hpp"

namespace starling::compute {

struct Operator;

/// Names a value of one graph. `None` stands for an optional operand that is absent.
enum class ValueId : std::int32_t { None = -1 };

using Attribute =
    std::variant<std::int64_t, double, std::vector<std::int64_t>, std::string, std::vector<double>>;

/// A node's settings under their ONNX names; an absent one, or one of another kind, reads as the
/// fallback.
class Attributes {
public:
    Attributes() = default;

    Attributes(std::initializer_list<std::pair<const std::string, Attribute>> entries)
        : entries_(entries) {}

    void set(std::string_view key, Attribute value) {
        entries_.insert_or_assign(std::string(key), std::move(value));
    }

    [[nodiscard]] bool has(std::string_view key) const { return entries_.contains(key); }

    [[nodiscard]] std::int64_t integer(std::string_view key, std::int64_t fallback) const;
    [[nodiscard]] double real(std::string_view key, double fallback) const;
    [[nodiscard]] std::string text(std::string_view key, std::string_view fallback) const;
    [[nodiscard]] std::vector<std::int64_t> integers(
        std::string_view key, std::vector<std::int64_t> fallback
    ) const;
    /// An absent list reads as empty.
    [[nodiscard]] std::vector<double> reals(std::string_view key) const;

private:
    std::map<std::string, Attribute, std::less<>> entries_;
};

enum class ValueKind : std::uint8_t { Input, Parameter, Computed };

struct Value {
    std::string name;
    TensorType type;
    ValueKind kind = ValueKind::Computed;
    std::size_t parameter = 0;  ///< index into Graph::parameters(), for ValueKind::Parameter
};

struct Node {
    const Operator* op = nullptr;
    std::string name;
    std::vector<ValueId> inputs;
    std::vector<ValueId> outputs;
    Attributes attributes;
};

/// Thread    any one
class Graph {
public:
    ValueId add_input(std::string name, TensorType type);
    ValueId add_parameter(ParameterInfo info);

    /// Appends a node and returns its outputs, whose types the operator's shape rule gives. An
    /// operator that is written in terms of others appends those.
    /// Requires  inputs are values of this graph, or None
    /// Errors    Unsupported (no such operator), BadValue (operands that do not fit)
    [[nodiscard]] Result<std::vector<ValueId>> add(
        std::string_view op,
        std::vector<ValueId> inputs,
        Attributes attributes = {},
        std::string name = {}
    );

    /// Appends a node whose operands are known to fit (gradient rules); returns all its outputs.
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

    /// Replaces the nodes: for passes, which keep the order invariant.
    void replace_nodes(std::vector<Node> nodes) { nodes_ = std::move(nodes); }

private:
    ValueId add_value(Value value);

    std::vector<Value> values_;
    std::vector<Node> nodes_;
    std::vector<ParameterInfo> parameters_;
    std::vector<ValueId> parameter_values_;
};

/// Returns the id as an index into per-value tables. Requires id != None.
[[nodiscard]] constexpr std::size_t to_index(ValueId id) {
    return static_cast<std::size_t>(id);
}

}  // namespace starling::compute
