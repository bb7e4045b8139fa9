#pragma once

// Drives the membership machine with a real UDP socket and one real timer. It seals datagrams just
// before the socket sends them and opens them when they arrive.
//
// Thread    network

#include <memory>

#include "base/endpoint.hpp"
#include "base/result.hpp"
#include "membership/swim.hpp"
#include "peer/crypto/seal.hpp"

namespace starling::peer {

class Loop;

/// Takes what the machine says. Called from inside pump().
class MembershipHandler {
public:
    virtual ~MembershipHandler() = default;
    virtual void on_member_event(const membership::Event& event) = 0;
    virtual void on_stream_request(const membership::StreamRequest& request) = 0;
    /// The machine has taken a new boot epoch, which has to be stored before anything is sealed under
    /// it. Returns whether datagrams may leave under it; if not, none leaves any more.
    /// Ensures  true only below kLivesMax
    [[nodiscard]] virtual bool on_epoch(std::uint64_t epoch) = 0;
};

class MembershipDriver {
public:
    MembershipDriver(Loop& loop, MembershipHandler& handler);
    ~MembershipDriver();
    MembershipDriver(const MembershipDriver&) = delete;
    MembershipDriver& operator=(const MembershipDriver&) = delete;

    /// Binds the UDP socket, also a second time elsewhere.
    /// Requires  start() was not called
    /// Errors    AddressInUse, Io
    [[nodiscard]] Result<void> bind(const Endpoint& at);

    /// Takes the machine and the keys that seal its datagrams, starts to receive, and pumps. Drops
    /// what it would send during `hold`, or until release().
    void start(membership::Swim swim, Sealer sealer, Opener opener, Duration hold = {});

    /// A member has told over a stream what it knows of us, so our epoch is above that of all our
    /// earlier lives, and datagrams may leave.
    void release();

    /// Counts the datagrams that did not reach the machine.
    /// Requires  start() was called
    [[nodiscard]] const SealCounters& seal_counters() const;

    [[nodiscard]] membership::Swim& swim();
    [[nodiscard]] const membership::Swim& swim() const;

    /// Drains the machine and arms its timer. Call it after every call into swim(). Calls the
    /// handler before it returns; inside such a call it leaves the draining to the outer one.
    void pump();

    void stop();

private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace starling::peer
