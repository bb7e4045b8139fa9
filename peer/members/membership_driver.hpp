#pragma once

// Drives the membership machine with a real UDP socket and one real timer, and seals its datagrams
// where they meet the socket.
//
// Thread    network

#include <functional>
#include <memory>

#include "base/bytes.hpp"
#include "base/endpoint.hpp"
#include "base/result.hpp"
#include "membership/swim.hpp"
#include "peer/crypto/seal.hpp"

namespace starling::peer {

class Loop;

class MembershipDriver {
public:
    struct Callbacks {
        std::function<void(const membership::Event&)> event;
        std::function<void(const membership::StreamRequest&)> stream;
    };

    MembershipDriver(Loop& loop, Callbacks callbacks);
    ~MembershipDriver();
    MembershipDriver(const MembershipDriver&) = delete;
    MembershipDriver& operator=(const MembershipDriver&) = delete;

    /// Binds the UDP socket. Errors AddressInUse, Io
    [[nodiscard]] Result<void> bind(const Endpoint& at);

    /// Takes the machine and what seals its datagrams, and starts receiving.
    void start(membership::Swim swim, Sealer sealer, Opener opener);

    /// Datagrams that did not reach the machine. Requires that it was started.
    [[nodiscard]] const SealCounters& seal_counters() const;

    [[nodiscard]] membership::Swim& swim();
    [[nodiscard]] const membership::Swim& swim() const;

    /// Drains the machine and arms its timer: call after every call into swim().
    void pump();

    void stop();

private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace starling::peer
