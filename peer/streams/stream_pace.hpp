#pragma once

// How fast a stream may leave this machine when its link is slow: a little faster than it arrives.
//
// Congestion control learns the rate of a link by filling the queue in front of it. The datagrams
// of membership wait in the same queue, and so does everything else that the household sends. BBR
// keeps the queue short, except when acknowledgements that arrive together make it believe in a
// rate ten times the link's; a control that waits for losses (CUBIC) fills it completely. After a
// second of sending without a pause we know better: what was acknowledged in this second is what
// the link takes. If there is a queue all the same, we empty it by sending a little less. If it
// does not become shorter, it is somebody else's, and we ignore it for a minute, because a sender
// that gives way to everybody gets nothing. LEDBAT (RFC 6817) accepts that; we do not.
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
    /// A stream above this rate, in bytes per second, is not held back: no queue matters there.
    static constexpr double kFast = 125e6;
    /// Largest packet of a paced stream, in bytes. The kernel hands packets of up to 64 KiB to the
    /// device. A shaper on the way cuts a packet that is larger than its bucket into pieces of
    /// 1,500 bytes; each costs this machine a soft interrupt, and its answer costs another one.
    static constexpr std::size_t kPacket = 16'000;

    /// Returns whether it is time to call heard().
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
    std::optional<Instant> drained_;   ///< when we last sent less to empty it
    std::optional<Instant> given_up_;  ///< when that last did not make it shorter
};

}  // namespace starling::peer
