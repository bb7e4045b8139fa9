#pragma once

// How a swarm's model is computed on this machine: the part of an engine's options that follows
// from the descriptor, the same whether a peer trains or a checkpoint is evaluated.

#include "compute/training/engine.hpp"
#include "peer/terms/descriptor.hpp"

namespace starling::peer {

/// Returns the options of the descriptor's model, task and batches. Precision, optimizer and
/// stopwatch are left as they are by default. The model's file is never null, but empty for a named
/// model.
[[nodiscard]] compute::EngineOptions engine_options(const Descriptor& descriptor, int threads);

}  // namespace starling::peer
