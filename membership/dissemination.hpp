#pragma once

// The rumours that ride on datagrams. A newer rumour about a member replaces the older one, so the
// queue never holds more than one claim and one record per peer.
//
// Order: claims before records; among claims the least often sent first, so that a burst spreads
// evenly; among equals good news before bad (a refutation must overtake its accusation), and the
// newest first.

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <unordered_map>
#include <vector>

#include "base/ids.hpp"
#include "membership/config.hpp"
#include "membership/messages.hpp"

namespace starling::membership {

/// Returns how often each member that heard a rumour sends it, among `n` members: ceil(ln n + 5).
/// About n * e^-m members miss a rumour sent m times, so this keeps the chance that anybody misses
/// it below one per cent at every n. memberlist's 4 * ceil(log10(n + 1)) does not for n below 100.
[[nodiscard]] std::size_t transmit_limit(std::size_t n);

/// Most rumours at a time; above it the last in order are dropped: records, then what has been sent
/// most often. So many are a few seconds of gossip; a member that misses one of those dropped
/// learns of it through digests.
inline constexpr std::size_t kRumoursMax = 512;

class Dissemination {
public:
    /// Queues a claim or a record in place of older news about the same peer.
    void push(const Statement& statement);
    void push(const ProgressRecord& record);

    /// Appends rumours to `out` that take at most `budget` bytes together, counting each as sent
    /// once; rumours sent `limit` times are dropped.
    void fill(std::vector<Message>& out, std::size_t budget, std::size_t limit);

    [[nodiscard]] bool empty() const { return queue_.empty(); }

    [[nodiscard]] std::size_t size() const { return queue_.size(); }

    /// True when claims wait that do not fit one datagram: a swarm forms, or a disaster happens.
    [[nodiscard]] bool crowded() const { return claim_bytes_ > kPacketMax; }

private:
    enum class Topic : std::uint8_t { Claim, Record };

    struct Rank {
        Topic topic = Topic::Claim;
        std::size_t sent = 0;
        bool bad_news = false;
        std::uint64_t age = 0;  ///< falls with every push: the newest is the smallest

        auto operator<=>(const Rank&) const = default;
    };

    struct Key {
        PeerId peer;
        Topic topic = Topic::Claim;

        bool operator==(const Key&) const = default;
    };

    /// An id is a hash already; its bytes vary enough.
    struct KeyHash {
        std::size_t operator()(const Key& key) const noexcept {
            return std::hash<PeerId>()(key.peer) ^ static_cast<std::size_t>(key.topic);
        }
    };

    struct Rumour {
        Key key;
        Message message;
        std::size_t size = 0;
    };

    void push(const Key& key, bool bad_news, Message message);
    void insert(const Rank& rank, Rumour rumour);
    Rumour take(std::map<Rank, Rumour>::iterator place);

    std::map<Rank, Rumour> queue_;
    std::unordered_map<Key, Rank, KeyHash> places_;
    std::size_t claim_bytes_ = 0;
    std::uint64_t next_age_ = ~std::uint64_t{0};
};

}  // namespace starling::membership
