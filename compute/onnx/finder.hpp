#pragma once

// What the rules that recognise spellings share: a view of the imported graph from results to
// operands, and the type of a rule's answer.

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "compute/graph/graph.hpp"
#include "compute/graph/operator.hpp"

namespace starling::compute::onnx {

/// A node that a rewrite adds.
struct Step {
    std::string_view op;
    std::vector<ValueId> inputs;
    Attributes attributes;
};

/// Returns an operand that stands for the result of an earlier step of the same rewrite.
[[nodiscard]] constexpr ValueId result_of(std::size_t step) {
    return static_cast<ValueId>(-2 - static_cast<std::int32_t>(step));
}

/// Returns the step whose result the operand is, or nothing when it is a value of the graph.
[[nodiscard]] constexpr std::optional<std::size_t> step_behind(ValueId id) {
    const auto number = static_cast<std::int32_t>(id);
    if (number > -2) return std::nullopt;
    return static_cast<std::size_t>(-2 - number);
}

/// What takes the place of a node: another node, or, without an operator, an existing value. When
/// the new node's result has the same elements in another shape, a Reshape follows.
struct Rewrite {
    std::string_view op;
    std::vector<ValueId> inputs;
    Attributes attributes;
    std::vector<Step> before = {};  ///< the steps that prepare the operands

    ValueId prepare(Step step) {
        before.push_back(std::move(step));
        return result_of(before.size() - 1);
    }
};

using Match = std::optional<Rewrite>;

/// A constant whose last two axes form a square, with one number on and below the diagonal and
/// another above it: a causal mask.
struct Triangle {
    double seen = 0.0;
    double hidden = 0.0;
};

/// Returns the triangle that a tensor is, if all its squares are the same one.
template <class Number>
[[nodiscard]] std::optional<Triangle> find_triangle(
    const Shape& shape, const std::vector<Number>& values
) {
    if (shape.size() < 2 || shape.back() != shape[shape.size() - 2] || shape.back() < 2) {
        return std::nullopt;
    }
    const auto length = static_cast<std::size_t>(shape.back());
    const auto square = length * length;
    if (values.size() < 4 || values.size() % square != 0) return std::nullopt;
    const auto seen = values[0];
    const auto hidden = values[1];
    if (seen == hidden) return std::nullopt;
    for (std::size_t i = 0; i < values.size(); ++i) {
        const auto at = i % square;
        const bool ahead = at % length > at / length;
        // `!(a == b)` rather than `a != b`, so that a NaN fails, too.
        if (!(values[i] == (ahead ? hidden : seen))) return std::nullopt;
    }
    return Triangle{static_cast<double>(seen), static_cast<double>(hidden)};
}

/// Returns true for a score so low that its exponential vanishes beside the others'.
[[nodiscard]] inline bool is_low(double value) {
    return value <= -1e4;
}

/// The most reshapes in a row that a rule looks through. No exporter writes more, and the limit
/// bounds the time for each node.
inline constexpr int kReshapesMax = 8;

/// Looks through a graph from results to operands.
class Finder {
public:
    explicit Finder(const Graph& graph)
        : graph_(graph),
          producer_(graph.value_count(), nullptr),
          alias_(graph.value_count()) {
        for (const auto& node : graph.nodes()) {
            for (const auto id : node.outputs) producer_[to_index(id)] = &node;
        }
        for (std::size_t i = 0; i < alias_.size(); ++i) alias_[i] = static_cast<ValueId>(i);
    }

    [[nodiscard]] const Graph& graph() const { return graph_; }

    /// Makes `from` stand for `to` from now on.
    /// Requires  `from` is made after `to`
    void set_alias(ValueId from, ValueId to) { alias_[to_index(from)] = resolve(to); }

    [[nodiscard]] ValueId resolve(ValueId id) const {
        return id == ValueId::None ? id : alias_[to_index(id)];
    }

    [[nodiscard]] ValueId input(const Node& node, std::size_t i) const {
        return i < node.inputs.size() ? resolve(node.inputs[i]) : ValueId::None;
    }

    /// Returns the node whose first result the value is, if it has this operator; else nullptr.
    [[nodiscard]] const Node* made_by(ValueId id, std::string_view op) const {
        if (id == ValueId::None) return nullptr;
        const Node* node = producer_[to_index(resolve(id))];
        const bool fits =
            node != nullptr && node->op->name == op && node->outputs[0] == resolve(id);
        return fits ? node : nullptr;
    }

    /// Returns the number that all elements of a constant have, if they have one. Remembers the
    /// answer, because a file may read a long constant in many places.
    [[nodiscard]] std::optional<double> number(ValueId id) const {
        const Node* node = constant_behind(id);
        if (node == nullptr) return std::nullopt;
        const auto [entry, fresh] = numbers_.try_emplace(node->outputs[0]);
        if (!fresh) return entry->second;
        const auto values = node->attributes.reals("value");
        const bool same =
            !values.empty() &&
            std::all_of(values.begin(), values.end(), [&](double v) { return v == values[0]; });
        if (same) entry->second = values[0];
        return entry->second;
    }

    [[nodiscard]] bool is_number(ValueId id, double wanted) const {
        const auto found = number(id);
        return found.has_value() && std::abs(*found - wanted) <= 1e-4 * std::abs(wanted);
    }

    /// Returns the triangle that a constant is, and remembers the answer for each length.
    [[nodiscard]] std::optional<Triangle> triangle(ValueId id) const {
        const Node* node = constant_behind(id);
        if (node == nullptr) return std::nullopt;
        const auto [entry, fresh] =
            triangles_.try_emplace({node->outputs[0], shape(id).empty() ? 0 : shape(id).back()});
        if (fresh) entry->second = find_triangle(shape(id), node->attributes.reals("value"));
        return entry->second;
    }

    [[nodiscard]] const Shape& shape(ValueId id) const { return graph_.shape(resolve(id)); }

private:
    [[nodiscard]] const Node* constant_behind(ValueId id) const {
        for (int i = 0; i < kReshapesMax; ++i) {
            const Node* before = made_by(id, "Reshape");
            if (before == nullptr) break;
            id = input(*before, 0);
        }
        return made_by(id, "Constant");
    }

    const Graph& graph_;
    std::vector<const Node*> producer_;
    std::vector<ValueId> alias_;
    mutable std::map<ValueId, std::optional<double>> numbers_;
    mutable std::map<std::pair<ValueId, std::int64_t>, std::optional<Triangle>> triangles_;
};

[[nodiscard]] inline bool is(const Node& node, std::string_view op) {
    return node.op->name == op;
}

/// Matches causal attention, which has the longest spellings.
[[nodiscard]] Match match_attention(const Finder& find, const Node& node);

/// Matches the spellings of Softmax and LogSoftmax.
[[nodiscard]] Match match_softmax(const Finder& find, const Node& node);

}  // namespace starling::compute::onnx
