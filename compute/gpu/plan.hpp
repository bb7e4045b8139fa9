#pragma once

// A graph compiled for a graphics card.

#include <memory>

#include "compute/device/plan.hpp"
#include "compute/gpu/backend.hpp"
#include "compute/gpu/weight_mirror.hpp"

namespace starling::compute::gpu {

/// Compiles a graph to launches on the backend, which reads weights from the mirror.
///
/// Requires  backend and layout outlive the plan
/// Errors    Unsupported, with the operator that has no kernel; Oversized; Device
/// Thread    compute
[[nodiscard]] Result<std::unique_ptr<Plan>> compile_plan(
    PlanRequest request,
    const ParameterLayout& layout,
    Backend& backend,
    std::shared_ptr<WeightMirror> mirror
);

}  // namespace starling::compute::gpu
