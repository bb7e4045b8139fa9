#pragma once

// Moves shards between peers, as a machine without I/O: fetches those that we should hold from
// peers that hold them, piece by piece and verified by hash, and serves ours. There is no
// directory: peers are asked in the order of rendezvous rank, because the first ones hold the
// replicas.
//
// ShardRequest:  32 B shard id, u32 offset
// ShardPiece:    32 B shard id, u32 offset, u32 total (0: not held here, or busy), bytes
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
#include "peer/transfer/outbox.hpp"

namespace starling::peer {

class ShardTransfer {
public:
    /// Shards fetched at once: enough to hide round trips, few enough not to burden one holder.
    static constexpr std::size_t kFetchesMax = 8;
    /// A holder may take so long for a piece, or twice as long as for its last one, if that is more.
    static constexpr Duration kPieceTimeout = std::chrono::seconds(10);
    static constexpr Duration kPieceTimeoutMax = std::chrono::seconds(160);
    /// A holder that did not answer in time is asked last for this long.
    static constexpr Duration kShunFor = std::chrono::seconds(30);
    static constexpr Duration kRetryAfter = std::chrono::milliseconds(500);

    /// Shards that are asked for when nothing else is, and who is asked first for each.
    using Last = std::map<ShardId, std::vector<PeerId>>;

    /// Requires  `store` and `out` outlive this
    ShardTransfer(data::ShardStore& store, Outbox& out);

    /// Replaces the list of shards that we should hold, and begins to fetch those that are missing.
    /// A fetch that has begun goes on even if its shard is no longer in the list: duties change to
    /// and fro, and what has come is not asked for again. Those that are `last` are asked for when nothing else is.
    void want(Instant now, const std::vector<ShardId>& shards, const Last& last = {});

    /// Replaces the peers that may hold them, without ourselves.
    void set_holders(Instant now, std::vector<data::WeightedPeer> holders);

    /// Asks for no further piece before this time; nothing: at once. What was asked for still comes.
    void hold(std::optional<Instant> until) { held_until_ = until; }

    /// Returns whether pieces are awaited.
    [[nodiscard]] bool fetching() const { return running() > 0; }

    /// Answers a request. With `overloaded`, enough is queued for this peer already, so it is told
    /// to ask elsewhere.
    void handle_request(const PeerId& from, ByteView payload, bool overloaded);
    /// Takes in a piece. Returns true when it completed a shard.
    bool handle_piece(Instant now, const PeerId& from, ByteView payload);
    void handle_broken(Instant now, const PeerId& partner);
    void handle_timeout(Instant now);

    /// Returns when to call handle_timeout, or nothing while no shard is missing.
    [[nodiscard]] std::optional<Instant> timeout() const;

    [[nodiscard]] std::size_t missing() const { return wanted_.size() + last_.size(); }

    [[nodiscard]] std::uint64_t bytes_fetched() const { return bytes_fetched_; }

    [[nodiscard]] std::uint64_t rejected() const { return rejected_; }

    /// Returns how many requests were not even looked up, because our samples are private.
    [[nodiscard]] std::uint64_t denied() const { return denied_; }

private:
    [[nodiscard]] bool wants(const ShardId& shard) const {
        return wanted_.contains(shard) || last_.contains(shard);
    }

    struct Fetch {
        PeerId holder;  ///< whom we ask now
        Bytes bytes;    ///< the bytes so far; at most the size in the manifest
        /// Who was asked and has not answered, and when. What comes late is as good as the rest.
        std::map<PeerId, Instant> asked;
        std::set<PeerId> gave;  ///< whose bytes these are
        bool waiting = false;   ///< `holder` has not answered the last request yet
        Instant deadline;
    };

    struct Holder {
        Instant heard_at;  ///< when its last answer came
        Instant shunned_until;
        Duration patience = kPieceTimeout;
    };

    struct Piece {
        ShardId shard;
        std::uint32_t offset = 0;
        std::uint32_t total = 0;
        ByteView data;
    };

    using Fetches = std::map<ShardId, Fetch>;

    void start_fetches(Instant now);
    [[nodiscard]] std::vector<PeerId> in_order(const ShardId& shard) const;
    bool start_fetch(Instant now, const ShardId& shard);
    [[nodiscard]] std::size_t running() const;
    [[nodiscard]] std::optional<Instant> pause(Instant now) const;
    [[nodiscard]] std::optional<PeerId> choose_holder(Instant now, const ShardId& shard);
    [[nodiscard]] bool may_answer(Instant now, const ShardId& shard, const PeerId& holder) const;
    [[nodiscard]] Duration patience(const PeerId& holder) const;
    void request_piece(Instant now, const ShardId& shard, Fetch& fetch);
    bool take(Instant now, Fetches::iterator at, const PeerId& from, const Piece& piece);
    bool finish(Instant now, Fetches::iterator at);
    void refuse(const ShardId& shard, const PeerId& holder);
    void drop_holder(Instant now, const PeerId& holder);

    data::ShardStore& store_;
    Outbox& out_;
    std::set<ShardId> wanted_;
    Last last_;  ///< these, too, when all others are here or asked for
    std::vector<data::WeightedPeer> holders_;
    Fetches fetches_;
    std::map<ShardId, std::set<PeerId>> refused_;  ///< holders that could not give it, this round
    /// Shards whose bytes came from several holders and had the wrong hash. The bytes of such a
    /// shard come from one holder alone from then on, so that the liar is found.
    std::set<ShardId> mistrusted_;
    std::map<ShardId, std::uint32_t> sizes_;  ///< from the manifest
    std::map<PeerId, Holder> known_;          ///< everybody who was asked
    std::optional<Instant> retry_at_;         ///< when everybody may be asked again
    std::optional<Instant> room_at_;          ///< when to look whether fetches may begin again
    std::optional<Instant> held_until_;       ///< no piece is asked for before
    std::uint64_t bytes_fetched_ = 0;
    std::uint64_t rejected_ = 0;
    std::uint64_t denied_ = 0;
};

}  // namespace starling::peer
