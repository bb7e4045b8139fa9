#pragma once

// One framed TCP stream to one peer: a reader and a writer coroutine, both started by start() and
// both ended by close(). TLS will slot in where the socket is, in connection.cpp alone.
//
// Thread    network, for everything

#include <cstdint>
#include <functional>
#include <memory>

#include "base/bytes.hpp"
#include "base/endpoint.hpp"
#include "base/ids.hpp"
#include "base/instant.hpp"
#include "base/result.hpp"
#include "peer/frame.hpp"
#include "peer/greeting.hpp"
#include "peer/tcp_facts.hpp"

namespace starling::peer {

class Loop;
class Connection;

/// A connection whose partner reads too slowly for what it asks is closed at this many queued
/// bytes.
inline constexpr std::size_t kSendQueueMax = std::size_t{24} << 20U;

/// What the owner of a connection wants to know. Called on the network thread; the connection may
/// be closed from inside any of these.
class ConnectionHandler {
public:
    virtual ~ConnectionHandler() = default;

    /// The partner's greeting was read and parsed; frames follow.
    virtual void on_hello(Connection& connection, const Hello& hello) = 0;
    /// One frame. The view holds until return.
    virtual void on_frame(Connection& connection, FrameType type, ByteView payload) = 0;
    /// A payload was handed to the kernel; its memory may be reused.
    virtual void on_sent(Connection& connection, FrameType type, Bytes payload) = 0;
    /// The stream ended, for whatever reason; called exactly once, nothing comes after it.
    virtual void on_closed(Connection& connection, const Fault& why) = 0;
};

class Connection {
public:
    virtual ~Connection() = default;

    /// Sends our greeting and starts reading. Without a greeting from the partner within `timeout`
    /// the connection closes. A stream that was accepted proves our swarm key by `prove`, if there
    /// is one.
    virtual void start(const Hello& ours, const ProveKey& prove, Duration timeout) = 0;

    /// Queues one frame. Frames leave in order.
    virtual void send(FrameType type, Bytes payload) = 0;

    /// Says goodbye with a reason as far as the socket takes it, then closes. Idempotent.
    virtual void close(const Fault& why) = 0;

    [[nodiscard]] virtual const Hello* hello() const = 0;  ///< the partner's, null before it came
    [[nodiscard]] virtual const Hello& ours() const = 0;   ///< ours, once started
    [[nodiscard]] virtual Endpoint remote() const = 0;
    [[nodiscard]] virtual bool dialled() const = 0;  ///< we opened it
    [[nodiscard]] virtual std::size_t queued_bytes() const = 0;
    /// What the partner's kernel has not yet said to have: queued here, or in our kernel.
    [[nodiscard]] virtual std::size_t backlog() = 0;
    /// What the kernel has measured.
    [[nodiscard]] virtual TcpFacts facts() = 0;
    [[nodiscard]] virtual std::uint64_t bytes_sent() const = 0;
    [[nodiscard]] virtual std::uint64_t bytes_received() const = 0;
};

using ConnectionPtr = std::shared_ptr<Connection>;

/// Opens a TCP connection; `done` is called once, on the network thread.
/// Errors    Unreachable, Timeout
void dial(
    Loop& loop,
    const Endpoint& to,
    Duration timeout,
    ConnectionHandler& handler,
    std::function<void(Result<ConnectionPtr>)> done
);

}  // namespace starling::peer
