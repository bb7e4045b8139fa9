#pragma once

// Moves shards between peers: fetches those that we should hold from peers that hold them, piece by
// piece and verified by hash, and serves ours. There is no directory: peers are asked in the order
// of rendezvous rank, because the first ones hold the replicas.
//
// ShardRequest:  32 B shard id, u32 offset
// ShardPiece:    32 B shard id, u32 offset, u32 total (0: not held here), bytes
//
// Thread    network

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/instant.hpp"
#include "data/ownership.hpp"
#include "data/shard_store.hpp"
#include "peer/streams/frame.hpp"

namespace starling::peer {

class ShardTransfer {
public:
    /// Shards fetched at once: enough to hide round trips, few enough not to burden one holder.
    static constexpr std::size_t kFetchesMax = 8;
    static constexpr Duration kPieceTimeout = std::chrono::seconds(10);
    /// A holder that did not answer in time is asked last for this long.
    static constexpr Duration kShunFor = std::chrono::seconds(30);
    static constexpr Duration kRetryAfter = std::chrono::milliseconds(500);

    /// A function that has something to send calls `send` before it returns.
    /// Requires  `store` outlives this
    ShardTransfer(data::ShardStore& store, SendFrame send);

    /// Replaces the list of shards that we should hold, and begins to fetch those that are missing.
    void want(Instant now, const std::vector<ShardId>& shards);

    /// Replaces the peers that may hold them, without ourselves.
    void set_holders(Instant now, std::vector<data::WeightedPeer> holders);

    /// Answers a request. With `overloaded`, enough is queued for this peer already, so it is told
    /// to ask elsewhere.
    void handle_request(const PeerId& from, ByteView payload, bool overloaded);
    /// Takes in a piece. Returns true when it completed a shard.
    bool handle_piece(Instant now, const PeerId& from, ByteView payload);
    void handle_broken(Instant now, const PeerId& partner);
    void handle_timeout(Instant now);

    /// Returns when to call handle_timeout, or nothing while no shard is missing.
    [[nodiscard]] std::optional<Instant> timeout() const;

    [[nodiscard]] std::size_t missing() const { return wanted_.size(); }

    [[nodiscard]] std::uint64_t bytes_fetched() const { return bytes_fetched_; }

    [[nodiscard]] std::uint64_t rejected() const { return rejected_; }

private:
    struct Fetch {
        PeerId holder;
        Bytes bytes;  ///< the bytes so far; at most the size in the manifest
        Instant deadline;
    };

    void start_fetches(Instant now);
    [[nodiscard]] std::optional<PeerId> choose_holder(Instant now, const ShardId& shard);
    void request_piece(const ShardId& shard, const Fetch& fetch);
    void drop_holder(Instant now, const PeerId& holder);
    void give_up(Instant now, const ShardId& shard, const PeerId& holder);

    data::ShardStore& store_;
    SendFrame send_;
    std::set<ShardId> wanted_;
    std::vector<data::WeightedPeer> holders_;
    std::map<ShardId, Fetch> fetches_;
    std::map<ShardId, std::set<PeerId>> refused_;  ///< holders that could not give it, this round
    std::map<ShardId, std::uint32_t> sizes_;       ///< from the manifest
    std::map<PeerId, Instant> shunned_;  ///< silent holders, and until when they come last
    Instant retry_at_;
    std::uint64_t bytes_fetched_ = 0;
    std::uint64_t rejected_ = 0;
};

}  // namespace starling::peer
