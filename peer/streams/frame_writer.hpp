#pragma once

// The frames that wait to leave on one stream, without I/O: which bytes to write next, how fast, and
// which payloads are written and may be used again.

#include <array>
#include <cstddef>
#include <deque>
#include <limits>
#include <optional>
#include <vector>

#include "base/bytes.hpp"
#include "base/instant.hpp"
#include "peer/streams/frame.hpp"
#include "peer/streams/stream_pace.hpp"

namespace starling::peer {

class FrameWriter {
public:
    struct Outgoing {
        FrameType type;
        std::array<std::byte, kFrameHeaderSize> header;
        Bytes payload;
    };

    void put(FrameType type, Bytes payload);

    /// Drops all frames except those of which a write may be in flight.
    void drop() { queue_.clear(); }

    /// Returns the bytes to write next, at most `most` from up to 16 frames; empty: nothing waits. They
    /// are valid until written().
    [[nodiscard]] const std::vector<ByteView>& next(
        std::size_t most = std::numeric_limits<std::size_t>::max()
    );

    /// Says that this many bytes of next() were written.
    void written(std::size_t bytes) { done_ += bytes; }

    /// Returns a frame that is written. Call it after written() until it returns nothing, so that
    /// the memory is used again while it is still in the cache.
    [[nodiscard]] std::optional<Outgoing> poll_written();

    /// Returns how many bytes wait, those of a write in flight included.
    [[nodiscard]] std::size_t queued_bytes() const { return queued_; }

    /// Returns whether each write must leave as one packet of its own (peer/streams/stream_pace.hpp).
    [[nodiscard]] bool paced() const { return pace_.limit() > 0.0; }

    [[nodiscard]] bool pace_due(Instant now) const { return pace_.due(now); }

    /// Returns the new limit in bytes per second (0: none), if the facts have changed it.
    [[nodiscard]] std::optional<double> heard(Instant now, const TcpFacts& facts);

private:
    std::deque<Outgoing> queue_;
    std::deque<Outgoing> batch_;  ///< those of the write in flight
    std::size_t done_ = 0;        ///< bytes of the batch that are written
    std::vector<ByteView> views_;
    std::size_t queued_ = 0;
    StreamPace pace_;
};

}  // namespace starling::peer
