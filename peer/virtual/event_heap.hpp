#pragma once

// The future events of virtual time, ordered by time. Events of one instant keep their order of
// insertion, so the order is the same in every run and with every standard library.

#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.hpp"
#include "base/instant.hpp"

namespace starling::peer_virtual {

/// A node of the virtual swarm, as its index in the list of nodes. A restart does not change it.
using NodeIndex = std::uint32_t;

enum class EventKind : std::uint8_t {
    Datagram,        ///< bytes from `peer` reach `node`
    SwimTimer,       ///< the membership timer of `node` may be due
    AveragerTimer,   ///< the averaging timer of `node` may be due
    Mix,             ///< `node` may open an exchange
    Train,           ///< `node` makes a local step
    Join,            ///< `node` dials a seed if it still knows nobody
    Pump,            ///< `node` continues a turn that reached its bound
    StreamAccept,    ///< a handshake from `peer` completes at `node`
    StreamOpen,      ///< the handshake that `node` started completes there
    StreamHead,      ///< the oldest message of a direction is due at `node`
    StreamBreak,     ///< `node` learns that the stream is gone
    StreamDeadline,  ///< the handshake that `node` started has taken too long
    Exit,            ///< `node` has said goodbye and ends its process
    SessionTimer,    ///< the session of `node` may be due: a view, or a deadline
    TrainerTimer,    ///< a step, an evaluation or a checkpoint of `node` ends
    FetchTimer,      ///< the fetch of the descriptor by `node` may be due
};

/// One event. Which fields matter depends on its kind.
struct Event {
    EventKind kind = EventKind::Datagram;
    NodeIndex node = 0;
    NodeIndex peer = 0;
    std::uint64_t stream = 0;
    /// The life of `node` that the event is for. An event of an earlier life is dropped. 0: an
    /// event of the network, which belongs to no life.
    std::uint64_t life = 0;
    Bytes bytes;
};

/// A binary heap of small keys. The events are in a separate array and do not move in the heap.
/// Thread    the owner
class EventHeap {
public:
    /// Requires  at >= the time of the last popped event
    void push(Instant at, Event event);

    [[nodiscard]] std::optional<Instant> next_time() const;

    /// Takes the earliest event.
    /// Requires  the heap is not empty
    Event pop();

    [[nodiscard]] std::size_t size() const { return keys_.size(); }

private:
    struct Key {
        Instant at;
        std::uint64_t sequence = 0;
        std::uint32_t slot = 0;
    };

    static bool later(const Key& a, const Key& b);

    std::vector<Key> keys_;
    std::vector<Event> slots_;
    std::vector<std::uint32_t> free_;
    std::uint64_t sequence_ = 0;
    Instant last_{};
};

}  // namespace starling::peer_virtual
