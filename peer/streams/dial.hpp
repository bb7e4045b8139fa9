#pragma once

// Opens streams.
//
// Thread    network

#include <functional>

#include "base/endpoint.hpp"
#include "base/instant.hpp"
#include "base/result.hpp"
#include "peer/streams/connection.hpp"

namespace starling::peer {

class Loop;

/// Ends a dial early: its `done` is called soon, with Closed. Does nothing after `done`.
using GiveUp = std::function<void()>;

/// Opens a TCP connection. Returns at once; calls `done` once, later, on the network thread.
/// Errors    Unreachable, Timeout, Closed (given up)
GiveUp dial(
    Loop& loop,
    const Endpoint& to,
    Duration timeout,
    ConnectionHandler& handler,
    std::function<void(Result<ConnectionPtr>)> done
);

}  // namespace starling::peer
