#pragma once

// Opens streams.
//
// Thread    network

#include <functional>
#include <string>

#include "base/endpoint.hpp"
#include "base/instant.hpp"
#include "base/result.hpp"
#include "peer/streams/connection.hpp"

namespace starling::peer {

class Loop;

/// The size of the packets on a stream, of both sides.
enum class Segments {
    Usual,
    Small,  ///< at most 1,260 bytes on the wire, for a way on which larger packets get lost
};

/// What to tell people about a way that needs small segments.
[[nodiscard]] std::string small_segments_note(const Endpoint& to);

/// Ends a dial early: its `done` is called soon, with Closed. Does nothing after `done`.
using EndDial = std::function<void()>;

/// Opens a TCP connection. Returns at once; calls `done` once, later, on the network thread.
/// Errors    Unreachable (nobody listens there), Timeout (no answer, or no way there), Closed (given up)
EndDial dial(
    Loop& loop,
    const Endpoint& to,
    Duration timeout,
    ConnectionHandler& handler,
    std::function<void(Result<ConnectionPtr>)> done,
    Segments segments = Segments::Usual
);

}  // namespace starling::peer
