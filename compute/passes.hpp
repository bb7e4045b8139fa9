#pragma once

// Rewrites of a graph that keep every wanted value and make it cheaper. Each pass is one function;
// optimize() runs them in the order in which they help each other.

#include <span>

#include "compute/graph.hpp"

namespace starling::compute {

/// Removes nodes from which no wanted value can be reached.
void remove_dead_nodes(Graph& graph, std::span<const ValueId> wanted);

/// Turns ReluGrad(MaxPoolGrad(dY, Indices), X) into MaxPoolGrad(ReluGrad(dY, Y), Indices) where
/// Y = MaxPool(X) and X is a Relu's output. Exact: a gradient reaches only the maxima, where X and
/// Y are equal. The mask then works on the small side of the pool, and X dies with the forward
/// pass.
void move_relu_gradient_before_pool(Graph& graph);

/// Lets Conv, Gemm, BatchNormalization and Add of equal shapes apply a Relu that is their only
/// reader: sets the attribute `fused_relu` and drops the Relu. ReluGrad reads the output, so the
/// gradient needs nothing else.
void fuse_relu(Graph& graph, std::span<const ValueId> wanted);

/// Lets BatchNormalizationGrad cut its slope itself where the normalisation applied the Relu
/// (attribute `fused_relu`), and ReluGrad add up the two slopes of a value that is read twice (a
/// third input): each saves a pass over an activation. After fuse_relu.
void fuse_relu_gradient(Graph& graph, std::span<const ValueId> wanted);

/// Runs all passes.
void optimize(Graph& graph, std::span<const ValueId> wanted);

}  // namespace starling::compute
