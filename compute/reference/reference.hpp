#pragma once

// The oracle of the tests: every operator as naive loops in double precision, easy to compare with
// the text of ONNX and not meant to be fast. Tests compare the devices with it, and compare its
// gradients with central differences.

#include <map>
#include <vector>

#include "compute/graph/graph.hpp"
#include "compute/graph/view.hpp"

namespace starling::compute::reference {

/// Row-major; integers are held exactly as doubles.
struct Tensor {
    Shape shape;
    std::vector<double> values;
};

using Tensors = std::map<ValueId, Tensor>;

/// Computes every node's outputs from the inputs and parameters in `tensors`.
/// Requires  tensors holds all inputs and parameters of the graph
/// Errors    Unsupported (an operator without a reference)
[[nodiscard]] Result<void> evaluate(const Graph& graph, Tensors& tensors);

/// Operands and results of one node; a missing optional operand is nullptr.
struct Call {
    const Node& node;
    std::vector<const Tensor*> inputs;
    std::vector<Tensor>& outputs;  ///< shaped and zero
};

/// The families; each returns false for an operator that is not its own.
[[nodiscard]] bool evaluate_convolution(const Call& call);
[[nodiscard]] bool evaluate_pooling(const Call& call);
[[nodiscard]] bool evaluate_matrix(const Call& call);
[[nodiscard]] bool evaluate_elementwise(const Call& call);
[[nodiscard]] bool evaluate_loss(const Call& call);
[[nodiscard]] bool evaluate_centre_point(const Call& call);
[[nodiscard]] bool evaluate_reduction(const Call& call);
[[nodiscard]] bool evaluate_movement(const Call& call);
[[nodiscard]] bool evaluate_normalization(const Call& call);
[[nodiscard]] bool evaluate_attention(const Call& call);

/// Returns where the view's i-th element lies, and all elements of a view.
[[nodiscard]] std::int64_t view_index(const View& view, std::int64_t i);
[[nodiscard]] std::vector<double> read_view(const std::vector<double>& x, const View& view);

}  // namespace starling::compute::reference
