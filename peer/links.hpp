#pragma once

// All streams of one peer, by partner: dials on demand, keeps connections, hands frames to those
// who handle them. A pair that dials each other at the same moment ends up with two connections;
// each side then sends on one of them for as long as it lives and reads from both, so frames stay
// in order per direction and nobody has to agree on which one to close.
//
// Beside it a pair that is far apart has lanes: more streams, on which chunks travel that may
// arrive in any order (docs/decisions/0017). Whoever initiates an exchange dials them and sends its
// offers there, the partner answers on the same. They live no longer than the main stream.
//
// Thread    network

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "base/endpoint.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "peer/connection.hpp"
#include "peer/listener.hpp"
#include "peer/loop.hpp"

namespace starling::peer {

struct LinkCounters {
    std::uint64_t accepted = 0;
    std::uint64_t dialled = 0;
    std::uint64_t dial_failures = 0;
    std::uint64_t garbage = 0;  ///< streams that were not ours or broke the framing
    std::uint64_t refused = 0;  ///< peers of another swarm or version
    std::uint64_t dropped_frames = 0;
    std::uint64_t bytes_sent = 0;
    std::uint64_t bytes_received = 0;
};

/// More streams than the main one, from each side at most.
inline constexpr std::size_t kLanesMax = 7;

/// A stream takes so much before the next lane has its turn: what one connection holds, and some
/// more. Fewer streams are better where they suffice: a chunk on one of six takes six times as
/// long.
inline constexpr std::size_t kLaneBytes = std::size_t{3} << 20U;

/// Who dialled a lane: it is used in that peer's exchanges only.
enum class Lanes : std::uint8_t { Ours, Theirs };

/// Returns how many lanes a pair needs beside a main stream of which the kernel says this.
[[nodiscard]] std::size_t lanes_for(const TcpFacts& main);

class Links final : public ConnectionHandler {
public:
    struct Callbacks {
        /// A frame from a partner of our swarm.
        std::function<void(const PeerId& from, FrameType type, ByteView payload)> frame;
        /// A sent payload's memory.
        std::function<void(FrameType type, Bytes payload)> sent;
        /// A stream with a partner broke, or could not be opened: frames may have been lost.
        std::function<void(const PeerId& partner, const Fault& why)> broken;
        /// Where a partner can be dialled, if we know.
        std::function<std::optional<Endpoint>(const PeerId& partner)> address;
        /// Somebody, perhaps not yet of our swarm, asks for the descriptor.
        std::function<void(Connection& asker)> descriptor_wanted;
        /// A lane broke while the main stream lives: chunks on it may have been lost.
        std::function<void(const PeerId& partner, Lanes lanes, const Fault& why)> lane_broken;
    };

    Links(Loop& loop, Callbacks callbacks);
    ~Links() override;

    /// Binds the listening socket; nothing is accepted yet. Errors as Listener::bind.
    [[nodiscard]] Result<Endpoint> bind(const Endpoint& at);

    /// Gives the socket back, to bind another. Before open() only.
    void unbind() { listener_.stop(); }

    /// Sets what we say of ourselves, and by what key all of the swarm is known, and starts
    /// accepting.
    void open(const Hello& ours, ProveKey prove);

    /// Sends a frame, over a new connection when there is none. Frames to a partner that cannot be
    /// dialled are dropped and reported by `broken`.
    void send(const PeerId& to, FrameType type, Bytes payload);

    /// Sends a frame that may overtake others and be overtaken: on the main stream, or on a lane
    /// when that is full.
    void send_on_lanes(const PeerId& to, FrameType type, Bytes payload, Lanes lanes);

    /// Replaces lanes_for, for measurements and tests.
    void widen_by(std::function<std::size_t(const TcpFacts&)> rule) {
        lanes_for_ = std::move(rule);
    }

    /// Opens a stream to an address whose peer we may not know; `done` gets the peer that greeted.
    /// Errors    Unreachable, Timeout, SwarmMismatch, BadVersion, Closed
    void introduce(const Endpoint& to, std::function<void(Result<PeerId>)> done);

    /// Bytes waiting to leave for this partner.
    [[nodiscard]] std::size_t queued_bytes(const PeerId& to) const;

    [[nodiscard]] const LinkCounters& counters() const;

    [[nodiscard]] std::size_t connection_count() const { return connections_.size(); }

    /// Lanes that are in use with this partner.
    [[nodiscard]] std::size_t lane_count(const PeerId& partner, Lanes lanes) const;

    /// Closes everything with a reason; the loop must run on for a moment to send it.
    void close_all(const std::string& why);

    void on_hello(Connection& connection, const Hello& hello) override;
    void on_frame(Connection& connection, FrameType type, ByteView payload) override;
    void on_sent(Connection& connection, FrameType type, Bytes payload) override;
    void on_closed(Connection& connection, const Fault& why) override;

private:
    struct Waiting {
        FrameType type;
        Bytes payload;
    };

    struct Entry {
        ConnectionPtr connection;
        std::function<void(Result<PeerId>)> introduced;  ///< of an introduce() that still waits
        bool settled = false;                            ///< no longer counted as a stranger
        bool proven = false;                             ///< showed that it holds the swarm key
        bool lane = false;
        bool dismissed = false;          ///< a lane that we close: its end is no news
        std::optional<PeerId> wanted{};  ///< whose lane it must be, of one that we dial
    };

    /// The lanes of one partner.
    struct Bundle {
        std::vector<Connection*> ours;
        std::vector<Connection*> theirs;
        std::size_t dialling = 0;
        Instant look_at;  ///< when it is worth looking whether there are enough
        Instant used;     ///< when we last offered something
    };

    void dial_partner(const PeerId& partner, const Endpoint& to);
    void dial_stream(const Endpoint& to, Entry entry);
    void adopt(Entry entry);
    void widen(const PeerId& partner, Connection& main, Bundle& bundle);
    void dial_lane(const PeerId& partner, const Endpoint& to);
    void lane_dialled(const PeerId& partner, bool well);
    void welcome_lane(const PeerId& partner, Connection& connection, Entry& entry);
    void on_lane_closed(
        const PeerId& partner, Connection& connection, Entry& entry, const Fault& why
    );
    void dismiss(const std::vector<Connection*>& lanes, const Fault& why);
    void close_idle_lanes();
    void close_lanes(const PeerId& partner);
    void flush_waiting(const PeerId& partner, Connection& connection);
    void drop_waiting(const PeerId& partner, const Fault& why);
    [[nodiscard]] std::optional<Fault> objection(const Hello& hello) const;
    [[nodiscard]] bool prove(Connection& connection);
    void on_proof(Connection& connection, Entry& entry, ByteView proof);
    void welcome(Connection& connection, Entry& entry);
    void settle(Entry& entry);

    ThreadOwner owner_;
    Loop& loop_;
    Callbacks callbacks_;
    Listener listener_;
    Hello ours_;
    ProveKey prove_;
    bool closing_ = false;
    std::unordered_map<Connection*, Entry> connections_;
    std::unordered_map<PeerId, Connection*> preferred_;         ///< the one we send on
    std::unordered_map<PeerId, std::vector<Waiting>> waiting_;  ///< for a dial in progress
    std::unordered_map<PeerId, Bundle> bundles_;                ///< of those with a main stream
    std::function<std::size_t(const TcpFacts&)> lanes_for_ = lanes_for;
    Timer idle_timer_;
    mutable LinkCounters counters_;
    std::uint64_t closed_bytes_sent_ = 0;
    std::uint64_t closed_bytes_received_ = 0;
};

}  // namespace starling::peer
