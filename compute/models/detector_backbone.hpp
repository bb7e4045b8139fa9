#pragma once

// A detector on the layers of a net that others have trained: `detector?backbone=onnx:FILE`.

#include <array>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "compute/graph/model.hpp"
#include "compute/values/task.hpp"

namespace starling::compute {

/// What the picture's sides are divided by in the maps of a backbone, from the finest to the coarsest.
inline constexpr std::array<std::int64_t, 3> kBackboneStrides{4, 8, 16};

using BackboneMaps = std::array<ValueId, kBackboneStrides.size()>;

struct Backbone {
    Graph graph;
    ValueId values = ValueId::None;  ///< its input
    BackboneMaps maps{};             ///< [N, C, H/stride, W/stride]
    std::vector<RunningStatistic> statistics;
    std::vector<std::string> notes;  ///< lines for people
};

/// Reads what cut_backbone() has made, for pictures of the task's size.
/// Errors    those of import_onnx; BadValue (other channels, other outputs), Unsupported (no parameters)
[[nodiscard]] Result<Backbone> read_backbone(
    ByteView file, const Task& task, std::int64_t batch, Purpose purpose
);

}  // namespace starling::compute
