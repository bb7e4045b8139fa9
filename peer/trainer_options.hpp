#pragma once

// How a peer trains, from the descriptor, its flags and its last checkpoint.

#include "base/ids.hpp"
#include "peer/checkpoint.hpp"
#include "peer/config.hpp"
#include "peer/descriptor.hpp"
#include "peer/trainer.hpp"

namespace starling::peer {

/// Returns how this peer trains. It begins where `checkpoint` ends; null: at the start.
/// Requires  a descriptor and flags that were checked
[[nodiscard]] TrainerOptions trainer_options(
    const PeerConfig& config,
    const PeerId& self,
    const Descriptor& descriptor,
    const Checkpoint* checkpoint
);

}  // namespace starling::peer
