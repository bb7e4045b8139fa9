#pragma once

// The port that a peer listens on, and what keeps strangers from wearing it out.
//
// Thread    network

#include <memory>

#include "base/endpoint.hpp"
#include "base/result.hpp"
#include "peer/streams/connection.hpp"

namespace starling::peer {

class Loop;

/// Takes what a Listener lets in, and then the events of those connections.
class ListenerHandler : public ConnectionHandler {
public:
    /// A stranger may begin its handshake; the callee must start it.
    virtual void on_accepted(ConnectionPtr connection) = 0;
};

/// Accepts connections and holds those that say nothing, or too many of them, back from us
/// (peer/streams/doorkeeper.hpp).
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

    /// Each of these takes any connection, also one that never was a stranger here.
    /// It has greeted as its peer should.
    void greeted(const Connection& connection);
    /// It is one of our swarm.
    void proven(const Connection& connection);
    /// It has ended.
    void gone(const Connection& connection);

    void stop();

private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace starling::peer
