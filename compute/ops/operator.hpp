#pragma once

// What every operator owns: a doc line, a shape rule and a gradient rule. One file per family in
// this folder lists its operators; kernels live elsewhere (reference/, cpu/), keyed by name.

#include <span>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "compute/graph.hpp"

namespace starling::compute {

/// Operand types of a node; nullptr for an absent optional operand.
using OperandTypes = std::span<const TensorType* const>;
using InferredTypes = Result<std::vector<TensorType>>;

/// What a gradient rule sees: one node, the gradients of its outputs, and which inputs want one.
class GradientContext {
public:
    GradientContext(Graph& graph, Node node, std::vector<ValueId> output_gradients)
        : node_(std::move(node)),
          contributions_(node_.inputs.size(), ValueId::None),
          wanted_(node_.inputs.size(), false),
          graph_(graph),
          output_gradients_(std::move(output_gradients)) {}

    [[nodiscard]] std::string_view op_name() const;

    [[nodiscard]] const Attributes& attributes() const { return node_.attributes; }

    [[nodiscard]] std::size_t input_count() const { return node_.inputs.size(); }

    [[nodiscard]] const TensorType& value_type(ValueId id) const { return graph_.value(id).type; }

    [[nodiscard]] ValueId input(std::size_t i) const {
        return i < node_.inputs.size() ? node_.inputs[i] : ValueId::None;
    }

    [[nodiscard]] ValueId output(std::size_t i) const { return node_.outputs[i]; }

    [[nodiscard]] const Shape& input_shape(std::size_t i) const {
        return graph_.shape(node_.inputs[i]);
    }

    /// Returns None for the output that is differentiated itself: its gradient is one.
    [[nodiscard]] ValueId output_gradient(std::size_t i) const { return output_gradients_[i]; }

    /// Returns the output's gradient, or a one for the root.
    [[nodiscard]] ValueId seeded_gradient(std::size_t i);

    /// Returns a scalar.
    [[nodiscard]] ValueId constant(double value);

    [[nodiscard]] bool wants(std::size_t i) const { return i < wanted_.size() && wanted_[i]; }

    std::vector<ValueId> emit(
        std::string_view op, std::vector<ValueId> inputs, Attributes attributes = {}
    ) {
        return graph_.emit(op, std::move(inputs), std::move(attributes));
    }

    /// Says that `gradient` is this node's share of the gradient of its i-th input.
    void contribute(std::size_t i, ValueId gradient) { contributions_[i] = gradient; }

    /// The same for an input that was broadcast: sums over the axes along which it was repeated.
    void contribute_reduced(std::size_t i, ValueId gradient);

private:
    friend class Differentiator;

    Node node_;
    std::vector<ValueId> contributions_;
    std::vector<bool> wanted_;
    Graph& graph_;
    std::vector<ValueId> output_gradients_;
};

/// The values that stand for an operator's outputs; empty to keep the node as it is.
using Expansion = std::vector<ValueId>;

struct Operator {
    std::string_view name;
    std::string_view doc;
    std::size_t inputs_min = 1;
    std::size_t inputs_max = 1;
    InferredTypes (*infer)(OperandTypes inputs, const Attributes& attributes) = nullptr;
    void (*gradient)(GradientContext& context) = nullptr;  ///< nullptr: not differentiable
    /// Writes the operator in terms of others, once its operands are known to fit: for those that
    /// need no kernel of their own.
    Expansion (*expand
    )(Graph& graph, const std::vector<ValueId>& inputs, const Attributes& attributes) = nullptr;
};

/// Returns nullptr for a name that no family lists.
[[nodiscard]] const Operator* find_operator(std::string_view name);

/// Returns all operators, family by family.
[[nodiscard]] std::vector<const Operator*> all_operators();

/// Checks the number of operands and their element types, and applies the operator's shape rule.
[[nodiscard]] InferredTypes infer_types(
    const Operator& op, OperandTypes inputs, const Attributes& attributes
);

/// The families; each function lives in the file of its family.
[[nodiscard]] std::span<const Operator> convolution_operators();
[[nodiscard]] std::span<const Operator> pooling_operators();
[[nodiscard]] std::span<const Operator> matrix_operators();
[[nodiscard]] std::span<const Operator> elementwise_operators();
[[nodiscard]] std::span<const Operator> reshaping_operators();
[[nodiscard]] std::span<const Operator> reduction_operators();
[[nodiscard]] std::span<const Operator> movement_operators();
[[nodiscard]] std::span<const Operator> normalization_operators();
[[nodiscard]] std::span<const Operator> attention_operators();
[[nodiscard]] std::span<const Operator> loss_operators();

}  // namespace starling::compute
