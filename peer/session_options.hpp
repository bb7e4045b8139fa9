#pragma once

// What the parts of a session are to do, from the descriptor and this peer's flags.

#include "base/ids.hpp"
#include "base/result.hpp"
#include "base/rng.hpp"
#include "gossip/config.hpp"
#include "peer/checkpoint.hpp"
#include "peer/config.hpp"
#include "peer/descriptor.hpp"
#include "peer/trainer.hpp"

namespace starling::peer {

/// Returns what the descriptor says of averaging.
/// Errors    Usage: a rule, an encoding or a share that this release does not know
[[nodiscard]] Result<gossip::AveragerConfig> averager_config(const Descriptor& descriptor);

/// Returns the luck of averaging, in this life: whom it asks, and the ids of its exchanges. A life
/// that drew the ids of the one before would be ignored by partners that remember them.
[[nodiscard]] Rng averaging_luck(const PeerConfig& config, const PeerId& self, std::uint64_t epoch);

/// Returns how this peer trains. It begins where `checkpoint` ends; null: at the start.
/// Requires  a descriptor and flags that were checked
[[nodiscard]] TrainerOptions trainer_options(
    const PeerConfig& config,
    const PeerId& self,
    const Descriptor& descriptor,
    const Checkpoint* checkpoint
);

}  // namespace starling::peer
