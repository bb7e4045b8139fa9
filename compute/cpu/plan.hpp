#pragma once

// A graph compiled for the CPU.

#include <memory>

#include "base/result.hpp"
#include "compute/device/plan.hpp"

namespace starling::compute {

/// Compiles for the CPU. The graph's parameters are found in `layout` by name; the layout outlives
/// the plan. With a stopwatch in the request it measures kernels, which takes up to a few seconds
/// for a large net.
///
/// Errors    Unsupported (no kernel), Io (the library refused), Oversized (memory)
/// Thread    compute
[[nodiscard]] Result<std::unique_ptr<Plan>> compile_cpu_plan(
    PlanRequest request, const ParameterLayout& layout
);

}  // namespace starling::compute
