#pragma once

// How a peer averages, according to the descriptor and its own flags.

#include <cstdint>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "base/rng.hpp"
#include "gossip/config.hpp"
#include "peer/terms/config.hpp"
#include "peer/terms/descriptor.hpp"

namespace starling::peer {

/// Returns the settings of averaging that the descriptor gives.
/// Errors    Usage: a rule, an encoding or a share that this release does not know
[[nodiscard]] Result<gossip::AveragerConfig> averager_config(const Descriptor& descriptor);

/// Returns these settings with what a peer decides for itself.
/// Requires  settings that averager_config() accepts, and a validated configuration
[[nodiscard]] gossip::AveragerConfig own_averager_config(
    const Descriptor& descriptor, const PeerConfig& config
);

/// Returns the random generator for averaging in this life: for partners and for the ids of
/// exchanges. It differs from process to process, because partners ignore ids that they
/// remember from the life before. `seed` is the peer's own.
[[nodiscard]] Rng averaging_rng(std::uint64_t seed, const PeerId& self, std::uint64_t process);

}  // namespace starling::peer
