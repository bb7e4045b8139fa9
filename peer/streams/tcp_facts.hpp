#pragma once

// What the kernel knows about a TCP connection. A file of its own: the header that names all of it
// does not go together with the one that Asio includes.

#include <cstdint>

#include "base/instant.hpp"

namespace starling::peer {

/// Zeros where the kernel does not say.
struct TcpFacts {
    Duration round_trip{};           ///< the least that was measured lately, so without queues
    double rate = 0.0;               ///< bytes per second that the other end had of late
    std::uint64_t acknowledged = 0;  ///< bytes
    Duration busy{};                 ///< for how long something was on its way
    Duration smoothed{};             ///< round trip of late, queues included
};

/// Requires  a connected TCP socket
[[nodiscard]] TcpFacts tcp_facts(int socket);

}  // namespace starling::peer
