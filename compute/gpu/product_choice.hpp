#pragma once

// Who does a step that a library could do: our own kernel, or the library where it was measured faster.
// A step runs either way through launch_step().
//
// Thread    compute

#include <vector>

#include "compute/device/plan.hpp"
#include "compute/gpu/lowering.hpp"

namespace starling::compute::gpu {

/// Queues the step, by the library if it was chosen.
/// Requires  the launch has its arguments
/// Errors    Device; Unsupported or Oversized when the library cannot
[[nodiscard]] Result<void> launch_step(Backend& backend, const Step& step);

/// Measures each new shape of a product in both ways, and notes the faster one in the step. What was
/// measured is remembered by the backend. The library compiles kernels for some shapes when it meets
/// them: after ten seconds of this the rest stays with our own kernel.
/// Requires  the steps' launches have their arguments; what their results hold does not matter
/// Errors    Device
[[nodiscard]] Result<void> choose_products(
    Backend& backend, Stopwatch stopwatch, std::vector<Step>& steps
);

}  // namespace starling::compute::gpu
