#pragma once

// Which peer trains on which shard. Nobody decides it: every peer computes the same answer from the
// same list of live members, by weighted rendezvous hashing. When a member goes, only its shards
// move.
//
// A shard's owner is the peer with the least -log2(u) / weight, where u in (0, 1) is a hash of both
// ids. If two are equal, the lower id wins. All arithmetic is on integers: two machines could round
// a library's logarithm differently, and then two peers would train on one shard and none on
// another.
//
// Hashing divides few shards unevenly: of 60 shards, each of 4 equal peers gets 15 with a deviation
// of 3.4. Partitions are about as many as peers, so they need an even division: of equal peers,
// none gets two more than another. We sort all pairs of partition and peer by the same cost and go
// through them once for each partition that a peer shall have: in the first pass a peer takes one, in the
// second another one, until all are taken. The passes are the same for n peers and for n - 1, so when
// a peer goes, its partitions move and few others. With one pass up to the whole part of the share, and
// then one more, 51 peers that become 50 would begin with another pass: of 100 partitions, 23 moved where 2 had to,
// now 5. Without a memory of who had what before, no rule moves the fewest every time.
//
// Source: Thaler and Ravishankar, "Using name-based mappings to increase hit rates", 1998; weights
// by Schindelhauer and Schomaker's logarithmic method ("Weighted distributed hash tables", 2005).

#include <cstdint>
#include <span>
#include <vector>

#include "base/ids.hpp"
#include "data/manifest.hpp"
#include "data/shares.hpp"

namespace starling::data {

struct WeightedPeer {
    PeerId id;
    std::uint32_t weight = 1;  ///< a peer with 0 ranks last
};

/// Returns the first `count` peers in rank for one shard, or all peers if there are fewer. The
/// first trains on the shard. The next ones hold replicas and are its heirs, in that order.
[[nodiscard]] std::vector<PeerId> rank_owners(
    const ShardId& shard, std::span<const WeightedPeer> peers, std::size_t count
);

/// Returns the owner of each of some training shards, by their places in the manifest.
/// Requires  at least one peer, and no peer twice; training shards
[[nodiscard]] std::vector<PeerId> owners_of(
    std::span<const std::size_t> shards,
    std::span<const WeightedPeer> peers,
    const Manifest& manifest
);

/// Returns those that should hold each of some shards, by their places in the manifest: the owner and
/// its heirs, all for a shard that is not for training (SplitShares says more of those). duties_of() says the same of one
/// peer.
/// Requires  as owners_of(), but any shards
[[nodiscard]] std::vector<std::vector<PeerId>> holders_of(
    std::span<const std::size_t> shards,
    std::span<const WeightedPeer> peers,
    const Manifest& manifest,
    std::size_t replicas
);

struct Duties {
    // Both in the manifest's order.
    std::vector<ShardId> train;  ///< training shards that this peer owns
    std::vector<ShardId> hold;  ///< its own training shards, its replicas, and what it is judged by
};

/// What a peer holds of the splits that models are judged by.
struct JudgedShare {
    const SplitShares* shares = nullptr;  ///< null: all of them
    std::vector<std::size_t> portions;    ///< of the splits that `shares` divides, ascending
};

/// Returns the owner of each partition as an index into `peers`. A peer's share is proportional to
/// its weight. The order of `peers` does not matter.
/// Requires  at least one peer, and no peer twice
[[nodiscard]] std::vector<std::size_t> assign_partitions(
    std::uint32_t partitions, std::span<const WeightedPeer> peers
);

/// Returns what `self` should train on and hold. Each training shard has `replicas` holders besides
/// its owner: the next peers in rank for the shard, or for its partition where there are
/// partitions. The order of `peers` does not matter. Of a manifest of private samples, all are our own. Of other splits
/// it holds what `share` says.
/// Requires  `peers` contains `self`, and no peer twice
[[nodiscard]] Duties duties_of(
    const PeerId& self,
    std::span<const WeightedPeer> peers,
    const Manifest& manifest,
    std::size_t replicas,
    const JudgedShare& share = {}
);

}  // namespace starling::data
