#pragma once

// Writes a trained model as an ONNX file that other runtimes read. The file holds the inference
// form of the model's graph, with the parameters as initializers under their own names. Operators
// that the opset does not have are spelled out in the way that patterns.cpp recognises.

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "compute/arena/parameter_store.hpp"
#include "compute/graph/model.hpp"

namespace starling::compute::onnx {

/// Builds the inference form of a model for a batch size.
using BuildInference = std::function<Result<Model>(std::int64_t batch)>;

/// Names and values that go into the file beside the graph: how samples are prepared, for whoever runs
/// the model elsewhere.
using Metadata = std::vector<std::pair<std::string, std::string>>;

/// Returns the bytes of a file with input `values` [N, sample shape] and output `scores`. Its opset
/// is 13, or 17 when it needs LayerNormalization. N is free when no node depends on it; otherwise
/// it is 1. Calls `build` once or twice.
/// Errors    Unsupported (an operator without an ONNX form), those of `build`
/// Thread    any
[[nodiscard]] Result<Bytes> export_onnx(
    const BuildInference& build, ParameterStore& store, const Metadata& metadata = {}
);

}  // namespace starling::compute::onnx
