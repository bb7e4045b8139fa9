#pragma once

// One framed and sealed TCP stream to one peer. start() starts a coroutine that reads and one that
// writes; close() ends both. ByteStream, Channel, FrameReader, FrameWriter and Greeting do the parts.
//
// Thread    network, for everything

#include <cstdint>
#include <memory>

#include "base/bytes.hpp"
#include "base/endpoint.hpp"
#include "base/ids.hpp"
#include "base/instant.hpp"
#include "base/result.hpp"
#include "peer/streams/frame.hpp"
#include "peer/streams/greeting.hpp"
#include "peer/streams/tcp_facts.hpp"

namespace starling::peer {

class Connection;

/// Most bytes that a connection queues. When more are waiting, the partner reads too slowly for
/// what it asks, and the connection is closed.
inline constexpr std::size_t kSendQueueMax = std::size_t{24} << 20U;

/// A frame must come in at this many bytes per second, after a time for whatever holds up a link.
inline constexpr double kFrameRateMin = 16.0 * 1024;
inline constexpr Duration kFramePatience = std::chrono::seconds(10);

/// Receives the events of a connection, on the network thread. Each of these functions may close
/// the connection.
class ConnectionHandler {
public:
    virtual ~ConnectionHandler() = default;

    /// The partner's Hello has come, whatever it says: it is a stranger no more.
    virtual void on_hello(Connection& /*connection*/) {}

    /// The greeting is over: the partner is one of our swarm.
    virtual void on_greeted(Connection& connection) = 0;
    /// A frame has come. `payload` is valid until the function returns.
    virtual void on_frame(Connection& connection, FrameType type, ByteView payload) = 0;
    /// The kernel has taken a payload, and its memory may be used again.
    virtual void on_sent(Connection& connection, FrameType type, Bytes payload) = 0;
    /// The stream has ended for any reason. This is called exactly once, and nothing after it.
    virtual void on_closed(Connection& connection, const Fault& why) = 0;
};

class Connection {
public:
    virtual ~Connection() = default;

    /// Starts to read and write. The connection closes if the partner has not greeted within
    /// `timeout`, or if it does not hold the key, or if the greeting refuses it.
    virtual void start(Introduction introduction, Duration timeout) = 0;

    /// Queues one frame; frames leave in order. Above kSendQueueMax the connection closes instead.
    virtual void send(FrameType type, Bytes payload) = 0;

    /// Sends a goodbye with a reason if the socket takes it within a second, then closes. Returns
    /// at once; on_closed() comes later. A second call does nothing.
    virtual void close(const Fault& why) = 0;

    /// Requires  the partner has greeted, or has tried to
    [[nodiscard]] virtual const Greeting& greeting() const = 0;
    /// Returns the partner's Hello; null before it comes.
    [[nodiscard]] virtual const Hello* partner() const = 0;
    /// Returns whether the partner was refused: it holds another key, is of another swarm, or is
    /// ourselves.
    [[nodiscard]] virtual bool refused() const = 0;
    /// Returns whether the partner takes longer for a frame that it has begun than any link should.
    [[nodiscard]] virtual bool overdue(Instant now) const = 0;
    [[nodiscard]] virtual Endpoint remote() const = 0;
    [[nodiscard]] virtual bool dialled() const = 0;  ///< whether we opened it
    [[nodiscard]] virtual std::size_t queued_bytes() const = 0;
    /// Returns how many bytes the partner's kernel has not acknowledged yet: those queued here and
    /// those in our kernel.
    [[nodiscard]] virtual std::size_t backlog() = 0;
    /// Returns what the kernel has measured.
    [[nodiscard]] virtual TcpFacts facts() = 0;
    [[nodiscard]] virtual std::uint64_t bytes_sent() const = 0;
    [[nodiscard]] virtual std::uint64_t bytes_received() const = 0;
};

using ConnectionPtr = std::shared_ptr<Connection>;

}  // namespace starling::peer
