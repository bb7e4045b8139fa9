#pragma once

// Drives the membership machine with a real UDP socket and one real timer. It seals datagrams just
// before the socket sends them and opens them when they arrive.
//
// Thread    network

#include <functional>
#include <memory>

#include "base/endpoint.hpp"
#include "base/result.hpp"
#include "membership/swim.hpp"
#include "peer/crypto/seal.hpp"

namespace starling::peer {

class Loop;

class MembershipDriver {
public:
    /// Called from inside pump().
    struct Callbacks {
        std::function<void(const membership::Event&)> event;
        std::function<void(const membership::StreamRequest&)> stream;
    };

    MembershipDriver(Loop& loop, Callbacks callbacks);
    ~MembershipDriver();
    MembershipDriver(const MembershipDriver&) = delete;
    MembershipDriver& operator=(const MembershipDriver&) = delete;

    /// Binds the UDP socket.
    /// Errors    AddressInUse, Io
    [[nodiscard]] Result<void> bind(const Endpoint& at);

    /// Takes the machine and the keys that seal its datagrams, starts to receive, and pumps.
    void start(membership::Swim swim, Sealer sealer, Opener opener);

    /// Counts the datagrams that did not reach the machine.
    /// Requires  start() was called
    [[nodiscard]] const SealCounters& seal_counters() const;

    [[nodiscard]] membership::Swim& swim();
    [[nodiscard]] const membership::Swim& swim() const;

    /// Drains the machine and arms its timer. Call it after every call into swim(). Calls the
    /// callbacks before it returns; inside a callback it leaves the draining to the outer call.
    void pump();

    void stop();

private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace starling::peer
