#pragma once

// Keeps the shards that a peer holds below a size, as a machine without I/O. What goes is what was used
// longest ago, and never a duty.
//
// A peer's duties shrink at the moment when somebody joins, long before the newcomer has fetched what it
// should hold now. So a shard goes only when all those that should hold it have shown that they do: each
// is asked for its last byte, with the request of any other fetch. Whoever should hold a shard does not
// give it up, so two peers never give up a shard because of each other. Views differ for some seconds, so
// they are not asked before the same ones should have held it for kSettled.
//
// Thread    network

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/instant.hpp"
#include "data/ownership.hpp"
#include "data/shard_store.hpp"
#include "data/shares.hpp"
#include "peer/transfer/outbox.hpp"

namespace starling::peer {

class ShardCache {
public:
    static constexpr Duration kLookEvery = std::chrono::seconds(1);
    /// Longer than a failure or an arrival takes to be known to all.
    static constexpr Duration kSettled = std::chrono::seconds(30);
    /// Whoever has not answered, or does not hold the shard yet, is asked again after this time.
    static constexpr Duration kAskAgain = std::chrono::seconds(30);
    /// Shards that are considered at once.
    static constexpr std::size_t kAskedMax = 32;

    /// `limit` in bytes; 0: none. Requires  `store` and `out` outlive this
    ShardCache(data::ShardStore& store, Outbox& out, std::uint64_t limit);

    /// What we should hold, and among whom that was computed.
    struct Duties {
        PeerId self;
        std::vector<ShardId> hold;
        std::vector<data::WeightedPeer> peers;
        std::size_t replicas = 0;
        /// Of what is judged, and their rotation. Null: everybody holds all of it. They outlive the cache.
        const data::SplitShares* shares = nullptr;
        std::uint64_t rotation = 0;
    };

    void set_duties(Instant now, Duties duties);

    /// Takes in a piece. Returns whether it answers a question of ours.
    bool handle_piece(const PeerId& from, ByteView payload);
    void handle_timeout(Instant now);

    /// Returns when to call handle_timeout, or nothing where there is no limit.
    [[nodiscard]] std::optional<Instant> timeout() const;

    /// Returns a line for people.
    [[nodiscard]] std::optional<std::string> poll_note();

    [[nodiscard]] std::uint64_t limit() const { return limit_; }

    /// Returns how many shards were given up.
    [[nodiscard]] std::uint64_t dropped() const { return dropped_; }

private:
    struct Question {
        std::vector<PeerId> holders;  ///< who should hold the shard, without ourselves
        Instant due;  ///< they are asked then; once they are, they are left alone then
        bool asked = false;
        std::set<PeerId> open;  ///< who was asked and has not shown yet that it holds the shard
    };

    [[nodiscard]] std::uint64_t over() const;
    void note_duties();
    void consider(Instant now, const std::vector<ShardId>& shards);
    void ask(Instant now, const ShardId& shard, Question& question);
    [[nodiscard]] std::vector<std::vector<PeerId>> holders_of(const std::vector<ShardId>& shards
    ) const;

    data::ShardStore& store_;
    Outbox& out_;
    std::uint64_t limit_;
    std::map<ShardId, std::size_t> places_;  ///< in the manifest; empty where there is no limit
    std::optional<Duties> duties_;
    Instant look_at_;
    std::map<ShardId, Question> questions_;
    std::optional<std::string> note_;
    bool noted_ = false;
    std::uint64_t dropped_ = 0;
};

}  // namespace starling::peer
