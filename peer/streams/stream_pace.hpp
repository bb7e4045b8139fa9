#pragma once

// How fast a stream may leave this machine when its link is slow: little faster than it arrives.
//
// Congestion control finds out what a link takes by filling the queue in front of it, and the
// datagrams of membership stand in the same queue, as does whatever else the household sends. BBR
// keeps that queue short but for the moments when acknowledgements that arrive together make it
// believe in a rate ten times the link's; a control that waits for losses (CUBIC) fills it
// altogether. We know better after a second of sending without a pause: what was acknowledged in it
// is what the link takes. A queue that stands all the same is emptied by sending a little less; one
// that does not become shorter is somebody else's and left alone for a minute, because who gives
// way to everybody gets nothing, which LEDBAT (RFC 6817) means to accept and we do not.
//
// Thread    network

#include <array>
#include <cstddef>
#include <optional>

#include "base/instant.hpp"
#include "peer/streams/tcp_facts.hpp"

namespace starling::peer {

class StreamPace {
public:
    /// A stream above this rate, bytes per second, is not held back: no queue matters there.
    static constexpr double kFast = 125e6;
    /// Largest packet of a paced stream, bytes. The kernel hands packets of up to 64 KiB to the
    /// device; what is larger than the bucket of a shaper on the way is cut into 1,500 bytes there,
    /// each of which costs this machine a soft interrupt and another one for its answer.
    static constexpr std::size_t kPacket = 16'000;

    /// Returns whether it is time to tell what the kernel knows.
    [[nodiscard]] bool due(Instant now) const { return now >= due_; }

    /// Takes in what the kernel knows of the stream now.
    void heard(Instant now, const TcpFacts& facts);

    /// Returns the most bytes per second that should leave; 0: no limit.
    [[nodiscard]] double limit() const { return limit_; }

private:
    static constexpr std::size_t kSamples = 10;

    void sampled(Instant now, double rate, Duration queue);
    void forget();
    [[nodiscard]] double room(Instant now, double takes, Duration queue);

    Instant due_{};
    Instant since_{};
    TcpFacts last_;
    std::array<double, kSamples> rates_{};  ///< bytes per second acknowledged, oldest first
    std::size_t count_ = 0;
    double limit_ = 0.0;
    bool draining_ = false;
    double drained_from_ = 0;          ///< what the link took when we began to empty its queue
    std::optional<Instant> drained_;   ///< when we last did
    std::optional<Instant> given_up_;  ///< when that last made it no shorter
};

}  // namespace starling::peer
