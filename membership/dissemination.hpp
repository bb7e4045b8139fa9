#pragma once

// The rumours that ride on datagrams. A newer rumour about a member replaces the older one, so the
// queue never holds more than one claim and two records per peer, a signed one and one that is not.
//
// Order: claims before records, and signed records before others; among claims the least often sent first, so that a burst spreads
// evenly; among equals good news before bad (a refutation must overtake its accusation), and the
// newest first.
//
// Layout: the order is an array of small places, the messages stand still in slots. The queue is
// bounded, so a walk over an array costs less than the nodes of a tree and of a hash table, which a
// large swarm in one process never finds in its cache.

#include <cstddef>
#include <cstdint>
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

    /// Queues a record whose owner tells it to all members itself: it is passed on `times` times, for those that
    /// did not hear the owner.
    ///
    /// Requires  0 < times <= 8
    void pass_on(const ProgressRecord& record, std::size_t times);

    /// Appends rumours to `out` that take at most `budget` bytes together, counting each as sent
    /// once; claims sent `limit` times are dropped, records after 8 times, or 4 while many rumours wait or few members are there.
    ///
    /// Requires  limit <= 127
    void fill(std::vector<Message>& out, std::size_t budget, std::size_t limit);

    [[nodiscard]] bool empty() const { return queue_.empty(); }

    [[nodiscard]] std::size_t size() const { return queue_.size(); }

    /// True when claims wait that do not fit one datagram: a swarm forms, or a disaster happens.
    [[nodiscard]] bool crowded() const { return claim_bytes_ > kPacketMax; }

private:
    enum class Topic : std::uint8_t { Claim, SignedRecord, Record };

    /// Where one rumour stands in the order.
    struct Place {
        std::uint64_t rank = 0;    ///< from the highest bit: topic, times sent, bad news, age
        std::uint64_t prefix = 0;  ///< of the id of the peer that it is about
        std::uint32_t size = 0;    ///< bytes on the wire
        std::uint32_t slot = 0;    ///< of its message

        [[nodiscard]] bool operator<(const Place& other) const { return rank < other.rank; }
    };

    using Places = std::vector<Place>;

    void push(
        const PeerId& peer, Topic topic, bool bad_news, Message message, std::size_t sent = 0
    );
    [[nodiscard]] Places::iterator find(const PeerId& peer, Topic topic);
    void drop(Places::iterator place);

    /// Frees the slot of a rumour whose place has left the queue.
    void release(const Place& place);

    Places queue_;                   ///< in order
    Places sent_;                    ///< memory of fill()
    std::vector<Message> messages_;  ///< by slot
    std::vector<std::uint32_t> free_;
    std::size_t claim_bytes_ = 0;
    std::uint64_t pushed_ = 0;
};

}  // namespace starling::membership
