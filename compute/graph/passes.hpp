#pragma once

// Rewrites of a graph that keep every wanted value and make it cheaper. Each pass is one function;
// optimize() runs them in the order in which they help each other.

#include <span>

#include "compute/graph/graph.hpp"

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

/// Lets ReluGrad add up the two slopes of a value that is read twice (a third input), which saves a
/// pass over an activation. After fuse_relu.
void fuse_relu_gradient(Graph& graph, std::span<const ValueId> wanted);

/// Lets BatchNormalization add the shortcut of a residual net before its Relu (a sixth input).
/// After fuse_relu.
void fuse_shortcut(Graph& graph, std::span<const ValueId> wanted);

/// Lets BatchNormalizationGrad do the work of the ReluGrad before it, whose result becomes a fourth
/// output where others read it. Further inputs: bias or Y, by which it finds where the Relu cut,
/// and the second slope of a ReluGrad that had one. After fuse_relu_gradient.
void fuse_norm_gradient(Graph& graph, std::span<const ValueId> wanted);

/// Runs all passes.
void optimize(Graph& graph, std::span<const ValueId> wanted);

}  // namespace starling::compute
