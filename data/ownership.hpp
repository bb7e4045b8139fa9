#pragma once

// Who trains on which shard, without anybody deciding: weighted rendezvous hashing over the live
// members. When a member goes, only its shards move; every peer computes the same answer from the
// same view.
//
// Source: Thaler and Ravishankar, "Using name-based mappings to increase hit rates", 1998; weights
// by Schindelhauer and Schomaker's logarithmic method.

#include <cstdint>
#include <span>
#include <vector>

#include "base/ids.hpp"
#include "data/manifest.hpp"

namespace starling::data {

struct WeightedPeer {
    PeerId id;
    std::uint32_t weight = 1;  ///< a power of two, announced by its owner
};

/// Returns the first `count` peers of one shard in rank order: the first trains on it, the next
/// hold replicas and are its heirs in that order. Fewer when there are fewer peers.
[[nodiscard]] std::vector<PeerId> rank_owners(
    const ShardId& shard, std::span<const WeightedPeer> peers, std::size_t count
);

struct Duties {
    std::vector<ShardId> train;  ///< training shards that this peer owns
    std::vector<ShardId> hold;   ///< all that it should hold: owned, replicas, and every test shard
};

/// Returns what `self` should train on and hold. `peers` must contain `self`.
[[nodiscard]] Duties duties_of(
    const PeerId& self,
    std::span<const WeightedPeer> peers,
    const Manifest& manifest,
    std::size_t replicas
);

}  // namespace starling::data
