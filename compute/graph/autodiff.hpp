#pragma once

// The gradient by graph transformation: walks the nodes backwards and appends the nodes that their
// gradient rules emit. The result is an ordinary graph, so fusion, layouts and memory planning
// treat forward and backward pass alike.

#include <vector>

#include "compute/graph/graph.hpp"

namespace starling::compute {

/// Appends the gradient of the scalar `root` to the graph. Returns the gradient of each parameter,
/// by parameter index; None for one that the root does not depend on.
/// Errors    Unsupported (an operator on the way has no gradient rule)
[[nodiscard]] Result<std::vector<ValueId>> differentiate(Graph& graph, ValueId root);

}  // namespace starling::compute
