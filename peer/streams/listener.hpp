#pragma once

// The port that a peer listens on, and the limits for whoever knocks there.
//
// Thread    network

#include <functional>
#include <memory>

#include "base/endpoint.hpp"
#include "base/result.hpp"
#include "peer/streams/connection.hpp"

namespace starling::peer {

class Loop;

/// Accepts connections under the limits for strangers: 64 that have not greeted in all, 8 from one
/// source (loopback exempt). Above the first we stop accepting until one is settled; above the
/// second the newcomer is closed.
class Listener {
public:
    Listener(Loop& loop, ConnectionHandler& handler);
    ~Listener();
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

    /// Binds and listens, but accepts nothing yet. Port 0 takes any free port.
    /// Errors    AddressInUse, Io
    [[nodiscard]] Result<Endpoint> bind(const Endpoint& at);

    /// Accepts from now on; each connection is handed over unstarted.
    void accept(std::function<void(ConnectionPtr)> accepted);

    /// Tells that a connection has greeted or closed: it no longer counts as a stranger.
    void settled(const Endpoint& source);

    void stop();

private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace starling::peer
