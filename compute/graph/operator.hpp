#pragma once

// The operators of graphs. Each has a doc line, a shape rule and a gradient rule, and each family
// of operators has a file. The kernels are in reference/ and cpu/, where an operator's name finds
// them.

#include <span>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "compute/graph/node.hpp"

namespace starling::compute {

/// Operand types of a node; nullptr for an absent optional operand.
using OperandTypes = std::span<const TensorType* const>;
using InferredTypes = Result<std::vector<TensorType>>;

class Graph;
class GradientContext;

/// The values that stand for an operator's outputs; empty to keep the node as it is.
using Expansion = std::vector<ValueId>;

struct Operator {
    std::string_view name;
    std::string_view doc;
    std::size_t inputs_min = 1;
    std::size_t inputs_max = 1;
    InferredTypes (*infer)(OperandTypes inputs, const Attributes& attributes) = nullptr;
    void (*gradient)(GradientContext& context) = nullptr;  ///< nullptr: not differentiable
    /// Writes the operator in terms of others, so that it needs no kernel; nullptr for an operator
    /// that has kernels. Operands have been checked by `infer`.
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
[[nodiscard]] std::span<const Operator> centre_point_operators();

}  // namespace starling::compute
