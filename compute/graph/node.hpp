#pragma once

// What a graph consists of: values, nodes, and the nodes' settings.
//
// Source    ONNX operator specification, opset 13 (names, attributes, semantics)

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "compute/values/shape.hpp"

namespace starling::compute {

struct Operator;

/// Names a value of one graph. `None` stands for an optional operand that is absent.
enum class ValueId : std::int32_t { None = -1 };

using Attribute =
    std::variant<std::int64_t, double, std::vector<std::int64_t>, std::string, std::vector<double>>;

/// A node's settings under their ONNX names. Reading one that is absent, or of another kind, gives
/// the fallback.
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

/// Returns the id as an index into tables by value.
/// Requires  id is not None
[[nodiscard]] constexpr std::size_t to_index(ValueId id) {
    return static_cast<std::size_t>(id);
}

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

}  // namespace starling::compute
