#pragma once

// How commands that compute for a moment choose their device: as a peer does.

#include "compute/training/engine.hpp"
#include "peer/machine/card_locks.hpp"

namespace starling::peer {

/// Lets `auto` measure, and takes cards in `locks`, which outlives the engine.
void search_devices(compute::EngineOptions& options, CardLocks& locks);

/// Says on standard error which device computes, where there was a choice.
void tell_device(const compute::Engine& engine);

}  // namespace starling::peer
