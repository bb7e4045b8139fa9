#pragma once

// Shards between peers: fetches those we should hold from whoever holds them, piece by piece and
// verified by hash, and serves ours. Nobody keeps a directory: holders are asked in the order of
// rendezvous rank, which is where replicas live, and then everybody else.
//
// ShardRequest:  32 B shard id, u32 offset
// ShardPiece:    32 B shard id, u32 offset, u32 total (0: not held here), bytes
//
// Thread    network

#include <cstdint>
#include <functional>
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
    /// Fetches at once: enough to hide round trips, few enough to be polite to one holder.
    static constexpr std::size_t kFetchesMax = 8;
    static constexpr Duration kPieceTimeout = std::chrono::seconds(10);
    /// A holder that did not answer in time is asked last for this long.
    static constexpr Duration kShunFor = std::chrono::seconds(30);
    static constexpr Duration kRetryAfter = std::chrono::milliseconds(500);

    /// Requires  `store` outlives this
    ShardTransfer(data::ShardStore& store, SendFrame send);

    /// Replaces what we should hold.
    void want(Instant now, const std::vector<ShardId>& shards);

    /// Replaces who may have it, ourselves excluded.
    void set_holders(Instant now, std::vector<data::WeightedPeer> holders);

    /// `overloaded`: enough is queued for this peer already, so it is told to ask elsewhere.
    void handle_request(const PeerId& from, ByteView payload, bool overloaded);
    /// Returns true when a whole shard was added.
    bool handle_piece(Instant now, const PeerId& from, ByteView payload);
    void handle_broken(Instant now, const PeerId& partner);
    void handle_timeout(Instant now);

    /// When to call handle_timeout; nothing while nothing is wanted.
    [[nodiscard]] std::optional<Instant> timeout() const;

    [[nodiscard]] std::size_t missing() const { return wanted_.size(); }

    [[nodiscard]] std::uint64_t bytes_fetched() const { return bytes_fetched_; }

    [[nodiscard]] std::uint64_t rejected() const { return rejected_; }

private:
    struct Fetch {
        PeerId holder;
        Bytes bytes;  ///< what came so far; at most the size in the manifest
        Instant deadline;
    };

    void start_fetches(Instant now);
    [[nodiscard]] std::optional<PeerId> choose_holder(Instant now, const ShardId& shard);
    void request_piece(const ShardId& shard, const Fetch& fetch);
    void drop_holder(Instant now, const PeerId& holder);
    void give_up(Instant now, const ShardId& shard, const PeerId& holder);
    [[nodiscard]] std::uint32_t size_of(const ShardId& shard) const;

    data::ShardStore& store_;
    SendFrame send_;
    std::set<ShardId> wanted_;
    std::vector<data::WeightedPeer> holders_;
    std::map<ShardId, Fetch> fetches_;
    std::map<ShardId, std::set<PeerId>> refused_;  ///< holders that did not have it, this round
    std::map<ShardId, std::uint32_t> sizes_;       ///< from the manifest
    std::map<PeerId, Instant> shunned_;            ///< until when; holders that were silent
    Instant retry_at_;
    std::uint64_t bytes_fetched_ = 0;
    std::uint64_t rejected_ = 0;
};

}  // namespace starling::peer
