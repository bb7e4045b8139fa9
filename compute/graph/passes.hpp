#pragma once

// Rewrites of a graph that make it cheaper and keep every wanted value. Each pass is one function;
// optimize() runs them in an order in which one prepares the next.

#include <span>

#include "compute/graph/graph.hpp"

namespace starling::compute {

/// Removes nodes from which no wanted value can be reached.
void remove_dead_nodes(Graph& graph, std::span<const ValueId> wanted);

/// Turns ReluGrad(MaxPoolGrad(dY, Indices), X) into MaxPoolGrad(ReluGrad(dY, Y), Indices) where
/// Y = MaxPool(X) and X is a Relu's output. The result is exactly the same, because a gradient
/// reaches only the maxima, where X and Y are equal. The mask then works on the smaller side of the
/// pool, and the memory of X is free after the forward pass.
void move_relu_gradient_before_pool(Graph& graph);

/// Lets Conv, Gemm, BatchNormalization, and Add of equal shapes, apply a Relu that is the only
/// reader of their result: sets the attribute `fused_relu` and drops the Relu. The gradient needs
/// nothing else, because ReluGrad reads the Relu's output.
void fuse_relu(Graph& graph, std::span<const ValueId> wanted);

/// When a value is read twice, lets its ReluGrad add up the two slopes, the second as a third
/// input. This saves a pass over an activation. Runs after fuse_relu.
void fuse_relu_gradient(Graph& graph, std::span<const ValueId> wanted);

/// Lets BatchNormalization add the shortcut of a residual net, as a sixth input, before its Relu.
/// Runs after fuse_relu.
void fuse_shortcut(Graph& graph, std::span<const ValueId> wanted);

/// Lets BatchNormalizationGrad do the work of the ReluGrad before it. Where other nodes read the
/// ReluGrad's result, it becomes a fourth output. The node gets further inputs: the bias or Y, from
/// which it finds where the Relu cut, and the second slope of a ReluGrad that had one. Runs after
/// fuse_relu_gradient.
void fuse_norm_gradient(Graph& graph, std::span<const ValueId> wanted);

/// Runs all passes.
void optimize(Graph& graph, std::span<const ValueId> wanted);

}  // namespace starling::compute
