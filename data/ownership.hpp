#pragma once

// Who trains on which shard, without anybody deciding: weighted rendezvous hashing over the live
// members. When a member goes, only its shards move; every peer computes the same answer from the
// same view.
//
// A shard's owner is the peer with the least -log2(u) / weight, where u in (0, 1) is a hash of both
// ids; ties go to the lower id. Everything is integer arithmetic: with a library's logarithm two
// machines could round differently, and then two peers would train on one shard and none on
// another.
//
// Few shards spread unevenly: 60 shards over 4 equal peers give 15 each with a deviation of 3.4.
// Partitions, of which there are as many as peers, must not: they are dealt out so that no peer has
// two more than another. The pairs of partition and peer are gone through in ascending order of
// the same cost, and a peer takes what it still has room for: first for the whole part of its even
// share, then for one more. When a peer goes, its partitions move, and few others.
//
// Source: Thaler and Ravishankar, "Using name-based mappings to increase hit rates", 1998; weights
// by Schindelhauer and Schomaker's logarithmic method ("Weighted distributed hash tables", 2005).

#include <cstdint>
#include <span>
#include <vector>

#include "base/ids.hpp"
#include "data/manifest.hpp"

namespace starling::data {

struct WeightedPeer {
    PeerId id;
    std::uint32_t weight = 1;  ///< a power of two, announced by its owner; 0 ranks last
};

/// Returns the first `count` peers of one shard in rank order: the first trains on it, the next
/// hold replicas and are its heirs in that order. Fewer when there are fewer peers.
[[nodiscard]] std::vector<PeerId> rank_owners(
    const ShardId& shard, std::span<const WeightedPeer> peers, std::size_t count
);

struct Duties {
    // Both in the manifest's order.
    std::vector<ShardId> train;  ///< training shards that this peer owns
    std::vector<ShardId> hold;   ///< all that it should hold: owned, replicas, and every test shard
};

/// Returns the owner of each partition, as an index into `peers`. Shares follow the weights.
/// Requires  peers, nobody twice; the order decides nothing
[[nodiscard]] std::vector<std::size_t> assign_partitions(
    std::uint32_t partitions, std::span<const WeightedPeer> peers
);

/// Returns what `self` should train on and hold. Each training shard has `replicas` holders besides
/// its owner: the next in rank, for the partition where there are partitions. `peers` must contain
/// `self`, and nobody twice; order is irrelevant.
[[nodiscard]] Duties duties_of(
    const PeerId& self,
    std::span<const WeightedPeer> peers,
    const Manifest& manifest,
    std::size_t replicas
);

}  // namespace starling::data
