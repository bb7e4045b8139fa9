#pragma once

// All streams of one peer, by partner. Links dials on demand, keeps connections and hands each frame to
// whoever has registered for its type. Two peers that dial each other at the same moment end up with two connections.
// Each side then reads from both and sends on one for as long as that one lives. A third one replaces the
// oldest. So frames stay in
// order in each direction, and the two peers need not agree which connection to close. When a new
// process of a partner greets, the streams of its earlier one are closed.
//
// A pair that is far apart also has lanes: more streams, for chunks that may arrive in any order
// (docs/decisions/0017). The initiator of an exchange dials lanes and sends its offers there; the
// partner answers on the same lanes. Lanes end with the main stream at the latest.
//
// Thread    network

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "base/endpoint.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "peer/machine/loop.hpp"
#include "peer/streams/connection.hpp"
#include "peer/streams/listener.hpp"
#include "peer/streams/silences.hpp"
#include "peer/streams/strikes.hpp"

namespace starling::peer {

struct LinkCounters {
    std::uint64_t accepted = 0;
    std::uint64_t dialled = 0;
    std::uint64_t dial_failures = 0;
    std::uint64_t garbage =
        0;  ///< streams that were not ours or broke the framing; unrouted frames
    std::uint64_t refused = 0;  ///< peers of another swarm or version
    std::uint64_t dropped_frames = 0;
    std::uint64_t bytes_sent = 0;
    std::uint64_t bytes_received = 0;
};

/// Main streams with one partner: two that dialled each other at once.
inline constexpr std::size_t kMainsMax = 2;

/// How long a guest may stay: for a descriptor of 16 MiB over a slow link.
inline constexpr Duration kGuestMax = std::chrono::minutes(15);

/// Most lanes that each side of a pair dials.
inline constexpr std::size_t kLanesMax = 7;

/// The next lane is used when this many bytes wait on a stream: a little more than one connection
/// holds. Fewer streams are better if they suffice, because a chunk on one of six streams takes six
/// times as long.
inline constexpr std::size_t kLaneBytes = std::size_t{3} << 20U;

/// Who dialled a lane. Only exchanges that this peer initiates use it.
enum class Lanes : std::uint8_t { Ours, Theirs };

/// Returns how many lanes a pair needs beside a main stream with these facts.
[[nodiscard]] std::size_t lanes_for(const TcpFacts& main);

/// What Links tells and asks its owner, on the network thread. Only address_of() may be called
/// inside Links::send() or Links::send_on_lanes().
class LinkHandler {
public:
    virtual ~LinkHandler() = default;

    /// A payload was sent, and its memory may be used again.
    virtual void on_sent(FrameType type, Bytes payload) = 0;
    /// A stream with a partner broke, or could not be opened: frames may have been lost.
    virtual void on_broken(const PeerId& partner, const Fault& why) = 0;
    /// A lane broke while the main stream lives: chunks on the lane may have been lost.
    virtual void on_lane_broken(const PeerId& partner, Lanes lanes, const Fault& why) = 0;

    /// Large packets seem to get lost on the way to a partner, which small ones reach.
    virtual void on_small_segments(const Endpoint& /*partner*/) {}

    /// A peer, perhaps not yet of our swarm, asks for the descriptor, once a stream. Called again when
    /// the kernel has taken a piece, with the number of the next one, so that what waits for a reader
    /// that is slow, or does not read, is one piece.
    virtual void on_descriptor_wanted(Connection& asker, std::size_t piece) = 0;
    /// Returns where a partner can be dialled, if we know.
    [[nodiscard]] virtual std::optional<Endpoint> address_of(const PeerId& partner) = 0;
};

class Links final : public ListenerHandler {
public:
    using Introduced = std::function<void(Result<PeerId>)>;

    Links(Loop& loop, LinkHandler& handler);
    ~Links() override;

    /// Binds the listening socket but accepts nothing yet.
    /// Errors    as Listener::bind
    [[nodiscard]] Result<Endpoint> bind(const Endpoint& at);

    /// Closes the listening socket, so that another can be bound.
    /// Requires  neither open() nor open_early() was called
    void unbind() { listener_.stop(); }

    /// Sets how we introduce ourselves, and starts to accept.
    void open(Introduction ours);

    /// Starts to accept before we belong to a swarm: whoever asks for the descriptor is handed to the
    /// handler, and nobody becomes a partner. open() then ends these streams.
    /// Requires  a greeting without a swarm
    void open_early(Introduction ours);

    /// Returns how we introduce ourselves.
    [[nodiscard]] const Introduction& introduction() const { return ours_; }

    /// Queues a frame for a partner and dials it if there is no stream. Up to 64 frames wait for
    /// one dial; more are dropped and counted. If the dial fails, the waiting frames are dropped
    /// and `broken` is called later.
    void send(const PeerId& to, FrameType type, Bytes payload);

    /// Sends a frame whose order does not matter: on the main stream, or on a lane when that is
    /// full. Dials lanes of ours when they are missing.
    void send_on_lanes(const PeerId& to, FrameType type, Bytes payload, Lanes lanes);

    /// Hands frames of this type to `receiver` from now on. A frame that nobody has registered for
    /// is dropped and counted as garbage.
    /// Requires  nobody else takes this type; `receiver` outlives this, or its last frame
    void route(FrameType type, FrameReceiver& receiver);

    /// Fixes the number of lanes instead of asking lanes_for, for measurements and tests.
    void fix_lanes(std::size_t lanes) { fixed_lanes_ = lanes; }

    /// Notes that a partner answers nothing at all now, whatever the size.
    void note_silence(const PeerId& partner);

    /// Streams to this address have small segments from now on.
    void use_small_segments(const Endpoint& to);

    /// Returns whether there is a main stream with this partner.
    [[nodiscard]] bool connected(const PeerId& partner) const {
        return main_of(partner) != nullptr;
    }

    /// Opens a stream to an address whose peer we may not know. Returns at once and later calls
    /// `done` once with the peer that greeted; a dial in progress at close_all() is dropped
    /// silently.
    /// Errors    Unreachable, Timeout, SwarmMismatch, BadVersion, BadFormat, Refused, Closed
    void introduce(const Endpoint& to, Introduced done);

    /// Returns how many bytes wait to leave for this partner on the main stream.
    [[nodiscard]] std::size_t queued_bytes(const PeerId& to) const;

    /// A partner has broken the protocol above frames, as by a forged statement. The third time ends its
    /// streams and bars it for a while (peer/streams/strikes.hpp); frames that break it count by
    /// themselves.
    void strike(const PeerId& partner);

    /// Returns how many bytes wait to leave, for everybody and on all streams.
    [[nodiscard]] std::size_t queued_in_all() const;

    [[nodiscard]] const LinkCounters& counters() const;

    [[nodiscard]] std::size_t connection_count() const { return streams_.size(); }

    /// Returns how many lanes with this partner are in use.
    [[nodiscard]] std::size_t lane_count(const PeerId& partner, Lanes lanes) const;

    /// Closes all streams with a reason. Returns at once; the loop must run on to send the reason.
    void close_all(const std::string& why);

    void on_accepted(ConnectionPtr connection) override;
    void on_hello(Connection& connection) override;
    void on_greeted(Connection& connection) override;
    void on_frame(Connection& connection, FrameType type, ByteView payload) override;
    void on_sent(Connection& connection, FrameType type, Bytes payload) override;
    void on_closed(Connection& connection, const Fault& why) override;

private:
    /// What a stream is to us.
    enum class Stage : std::uint8_t {
        Greeting,   ///< the greeting is not over
        Guest,      ///< of no swarm, or without the key: it may ask for the descriptor
        Main,       ///< carries everything
        Lane,       ///< carries exchanges beside a main stream
        Dismissed,  ///< we close it: its frames count no more, its end is not reported
    };

    struct Stream {
        ConnectionPtr connection;
        Stage stage = Stage::Greeting;
        Introduced introduced;  ///< to call when it has greeted or failed
        Instant since{};
        std::size_t pieces = 0;  ///< of the descriptor that were asked for
    };

    struct Waiting {
        FrameType type;
        Bytes payload;
    };

    /// All that belongs to one partner. Frames wait only while there is no main stream, and lanes
    /// exist only while there is one.
    struct Partner {
        std::vector<Connection*> mains;  ///< we send on the first for as long as it lives
        std::vector<Waiting> waiting;    ///< frames for a dial in progress
        std::vector<Connection*> our_lanes;
        std::vector<Connection*> their_lanes;
        std::size_t dialling = 0;  ///< lanes of ours
        Instant look_at{};         ///< when to check next whether there are enough lanes
        Instant used{};            ///< when we last sent an offer
    };

    void dial_partner(const PeerId& partner, const Endpoint& to);
    void dial_stream(
        const Endpoint& to, StreamKind kind, std::optional<PeerId> wanted, Introduced introduced
    );
    void adopt(Stream stream, Introduction introduction);
    void widen(const PeerId& id, Partner& partner);
    void dial_lane(const PeerId& partner, const Endpoint& to);
    void lane_dialled(const PeerId& partner, bool greeted);
    void replace_oldest(Partner& partner, const PeerId& id);
    void replace_older_process(const PeerId& id, const Connection& newer);
    void welcome_main(const PeerId& id, Connection& connection, Stream& stream);
    void welcome_lane(const PeerId& id, Connection& connection, Stream& stream);
    void on_main_closed(const PeerId& id, Connection& connection, const Fault& why);
    void on_lane_closed(const PeerId& id, Connection& connection, const Fault& why);
    void dismiss(const std::vector<Connection*>& lanes, const Fault& why);
    void close_idle_lanes();
    void look_after_streams();
    void give_descriptor(Connection& connection);
    void redial_with_small_segments(const PeerId& id, const Connection& stuck);
    void drop_waiting(const PeerId& id, const Fault& why);
    void count_closed(const Connection& connection, const Fault& why);
    [[nodiscard]] Connection* main_of(const PeerId& id) const;

    ThreadOwner owner_;
    Loop& loop_;
    LinkHandler& handler_;
    std::array<FrameReceiver*, kFrameTypes> routes_{};
    Listener listener_;
    Introduction ours_;
    bool early_ = false;  ///< we belong to no swarm yet
    bool closing_ = false;
    std::unordered_map<Connection*, Stream> streams_;
    std::unordered_map<PeerId, Partner> partners_;
    Strikes strikes_;
    Silences silences_;
    std::unordered_set<Endpoint> small_;  ///< where segments are small
    std::optional<std::size_t> fixed_lanes_;
    Timer idle_timer_;
    Timer care_timer_;
    mutable LinkCounters counters_;
    std::uint64_t closed_bytes_sent_ = 0;
    std::uint64_t closed_bytes_received_ = 0;
};

}  // namespace starling::peer
