#pragma once

// The options of an engine that follow from the swarm's descriptor. A peer that trains and
// `starling eval` both take them from here.

#include "compute/training/engine.hpp"
#include "peer/terms/descriptor.hpp"

namespace starling::peer {

/// Returns options with the descriptor's model, task and batch sizes. Precision, optimizer and
/// stopwatch keep their defaults. The model's file is never null; for a named model it is empty.
[[nodiscard]] compute::EngineOptions engine_options(const Descriptor& descriptor, int threads);

}  // namespace starling::peer
