#pragma once

// A trained model as an ONNX file that other runtimes read: the inference form of its graph, with
// the parameters as initializers under their own names. Operators that the opset does not have are
// spelled out the way that patterns.cpp recognises.

#include <functional>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "compute/arena/parameter_store.hpp"
#include "compute/graph/model.hpp"

namespace starling::compute::onnx {

/// Builds the inference form of a model for a batch size.
using BuildInference = std::function<Result<Model>(std::int64_t batch)>;

/// Writes input `values` [N, sample shape] -> output `scores`, opset 13, or 17 where it needs
/// LayerNormalization. N is free when no node depends on it; otherwise it is 1.
/// Errors    Unsupported (an operator without an ONNX form), those of `build`
/// Thread    any
[[nodiscard]] Result<Bytes> export_onnx(const BuildInference& build, ParameterStore& store);

}  // namespace starling::compute::onnx
