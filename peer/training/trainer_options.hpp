#pragma once

// Derives how a peer trains from the descriptor, its flags and its last checkpoint.

#include <filesystem>

#include "base/ids.hpp"
#include "peer/terms/config.hpp"
#include "peer/terms/descriptor.hpp"
#include "peer/training/checkpoint.hpp"
#include "peer/training/engine_trainer.hpp"

namespace starling::peer {

/// Returns where a peer keeps the files of its shards; empty without a state directory.
[[nodiscard]] std::filesystem::path shard_directory(const PeerConfig& config);

/// Returns how this peer trains. It continues where `checkpoint` ends, or begins at the start if
/// that is null. `manifest` is that of the shards which it may hold.
/// Requires  a descriptor and flags that were validated
[[nodiscard]] TrainerOptions trainer_options(
    const PeerConfig& config,
    const PeerId& self,
    const Descriptor& descriptor,
    const data::Manifest& manifest,
    const Checkpoint* checkpoint
);

}  // namespace starling::peer
