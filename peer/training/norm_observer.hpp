#pragma once

// What a model's batch norms see of a peer's own training samples.
//
// Thread    compute

#include <atomic>
#include <cstddef>

#include "base/result.hpp"
#include "compute/training/engine.hpp"
#include "data/shard_store.hpp"

namespace starling::peer {

/// Runs the engine over batches of the held training samples, as they are and not changed at random, and returns the moments
/// of all. There are kNormBatches of them at even distances, or as many as there are samples for; samples of less than
/// one batch are taken several times. No samples are held, or `stop` becomes true: nothing has been seen. Blocks as long
/// as the engine computes.
///
/// Errors    those of the engine
[[nodiscard]] Result<compute::NormMoments> observe_own(
    compute::Engine& engine,
    const data::ShardStore& shards,
    std::size_t batch,
    const std::atomic<bool>& stop
);

}  // namespace starling::peer
