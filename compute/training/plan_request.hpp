#pragma once

// The graph of a model as a device compiles it, with the values that an engine feeds and reads.

#include <cstdint>
#include <vector>

#include "base/result.hpp"
#include "compute/device/plan.hpp"
#include "compute/graph/model.hpp"
#include "compute/training/engine_options.hpp"

namespace starling::compute {

struct ModelRequest {
    PlanRequest plan;
    ValueId values = ValueId::None;
    ValueId labels = ValueId::None;
    ValueId loss = ValueId::None;
    ValueId answers = ValueId::None;
    ValueId hits = ValueId::None;  ///< of a training step, where labels are right or wrong
    std::vector<RunningStatistic> statistics;
    std::size_t answers_each = 0;          ///< labels or targets of a sample
    std::vector<std::int64_t> table_rows;  ///< as table_rows() returns them
};

/// Returns the layout of the options' model.
/// Errors    those of model_layout
/// Thread    any (pure)
[[nodiscard]] Result<ParameterLayout> layout_of(const EngineOptions& options);

/// Builds the model's graph for batches of this size: with gradients for a training step, else with
/// the answers among the outputs.
/// Errors    those of build_model and differentiate
/// Thread    any (pure)
[[nodiscard]] Result<ModelRequest> request_model(
    const EngineOptions& options, std::int64_t batch, bool training
);

}  // namespace starling::compute
