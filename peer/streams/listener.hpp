#pragma once

// The port that a peer listens on, and the limits for connections that have not greeted.
//
// Thread    network

#include <memory>

#include "base/endpoint.hpp"
#include "base/result.hpp"
#include "peer/streams/connection.hpp"

namespace starling::peer {

class Loop;

/// Takes what a Listener accepts, and then the events of those connections.
class ListenerHandler : public ConnectionHandler {
public:
    /// A connection was accepted; the callee must start it.
    virtual void on_accepted(ConnectionPtr connection) = 0;
};

/// Accepts connections and limits strangers, which are connections that have not greeted: 64 in
/// all, 8 from one source (loopback exempt). At the first limit it accepts nothing until one greets
/// or closes; above the second it closes the new connection.
class Listener {
public:
    Listener(Loop& loop, ListenerHandler& handler);
    ~Listener();
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

    /// Binds and listens, but accepts nothing yet. Port 0 takes any free port.
    /// Errors    AddressInUse, Io
    [[nodiscard]] Result<Endpoint> bind(const Endpoint& at);

    /// Starts to accept.
    void accept();

    /// Makes the segments of all streams small that are accepted from now on.
    void limit_segments();

    /// Says that a connection has greeted or closed, so it no longer counts as a stranger.
    void release_stranger(const Endpoint& source);

    void stop();

private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace starling::peer
