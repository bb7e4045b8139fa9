#pragma once

// What a node costs in arithmetic, for reports and for choices between kernels.

#include "compute/graph/graph.hpp"

namespace starling::compute {

/// Returns the additions and multiplications of a convolution, a matrix product, or the causal half
/// of an attention; zero for any other node.
[[nodiscard]] double flops_of(const Graph& graph, const Node& node);

}  // namespace starling::compute
