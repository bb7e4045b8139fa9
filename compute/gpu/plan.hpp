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

/// Returns the bytes that such a plan would take, in the card's memory, without a card: it lowers the
/// graph, and places its buffers, but allocates nothing.
///
/// Errors    Unsupported, as above
/// Thread    any (pure)
[[nodiscard]] Result<MemoryUse> plan_memory(PlanRequest request, const ParameterLayout& layout);

}  // namespace starling::compute::gpu
