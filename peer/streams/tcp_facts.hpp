#pragma once

// What the kernel knows about a TCP connection. This has a file of its own, because the header that
// defines all of it (linux/tcp.h) conflicts with the one that Asio includes.

#include <cstdint>

#include "base/instant.hpp"

namespace starling::peer {

/// All zero if the kernel does not say.
struct TcpFacts {
    Duration round_trip{};           ///< the shortest one lately, so without queues
    double rate = 0.0;               ///< bytes per second that arrived lately
    std::uint64_t acknowledged = 0;  ///< bytes
    Duration busy{};                 ///< for how long data was on its way, in all
    Duration smoothed{};             ///< mean round trip lately, with queues
};

/// Requires  a connected TCP socket
[[nodiscard]] TcpFacts tcp_facts(int socket);

/// Makes the segments of a socket small, of both sides: TCP tells the partner the limit when it
/// connects. A packet has at most 1,260 bytes then, below the minimum MTU of IPv6, which every way
/// carries. A listening socket passes the limit on to those that it accepts from now on.
/// Requires  a TCP socket that is not connected
void limit_segments(int socket);

}  // namespace starling::peer
