#pragma once

// A network in virtual time. Datagrams are lost, delayed, duplicated and reordered. Streams keep
// their order, stall silently behind a cut as TCP does, and break after a timeout. There are cuts,
// one-way cuts and partitions, and machines that stop.
//
// Nothing is stored per link: latency and loss of an ordered pair follow from hash(seed, from, to),
// so a thousand peers need a thousand entries and not a million. Every sender has a random
// generator of its own, so one more datagram of one machine changes nothing for another machine.
//
// Source: the fault families follow FoundationDB's and TigerBeetle's simulators; no code is shared.

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/instant.hpp"
#include "base/rng.hpp"
#include "peer/virtual/event_heap.hpp"

namespace starling::peer_virtual {

struct NetworkOptions {
    /// Mean latency of a link, one way and without jitter. Each ordered pair has a value of its own
    /// between 1/2 and 3/2 of this.
    Duration latency = std::chrono::milliseconds(1);
    /// Median of the log-normal extra delay of each datagram. It reorders datagrams.
    Duration jitter = std::chrono::microseconds(200);
    double jitter_sigma = 0.7;
    /// Share of the datagrams that are lost. Each ordered pair has a value of its own between 1/2
    /// and 3/2 of this. On a stream each loss costs a retransmission timeout instead, which doubles
    /// from try to try.
    double loss = 0.0;
    /// With it losses come in bursts: the time of each link is cut in slots of this length, and in the share
    /// `loss` of them everything is lost, nothing in the others. Zero: each packet by itself.
    Duration loss_burst{};
    double duplicate = 0.0;
    /// Largest IP packet that passes. Larger datagrams vanish. IPv6 guarantees 1,280.
    std::size_t mtu = 1280;
    /// Bytes per second that each machine can send; 0: no limit. At most `uplink_queue` bytes wait at the link:
    /// the rest of a stream waits in its sender's socket, as TCP has it, and does not delay datagrams. Datagrams
    /// above the queue are lost.
    double uplink = 0.0;
    double uplink_queue = 64.0 * 1024;
    /// Bytes per second that each machine can receive; 0: no limit.
    double downlink = 0.0;
    /// Probability that a stream breaks when a message is sent.
    double stream_reset = 0.0;
    Duration retransmit = std::chrono::milliseconds(200);
    Duration handshake_retransmit = std::chrono::seconds(1);  ///< RFC 6298's first timeout
    Duration connect_timeout = std::chrono::seconds(6);
    /// If the other side has accepted a stream, so much longer for its proofs.
    Duration greeting_timeout = std::chrono::seconds(6);
    /// If the receiver does not take a stream's data for so long, the stream breaks at both ends.
    Duration stream_timeout = std::chrono::seconds(10);
};

/// What some links have instead of the NetworkOptions; nothing: the same.
struct NetworkPart {
    std::vector<NodeIndex> from;
    std::vector<NodeIndex> to;  ///< empty: everybody, in both directions
    std::optional<Duration> latency;
    std::optional<Duration> jitter;
    std::optional<double> loss;
    std::optional<double> duplicate;
    std::optional<std::size_t> mtu;
    std::optional<double> rate;  ///< what each of `from` can send, and what it can receive
};

enum class Power : std::uint8_t {
    On,
    Stopped,  ///< the process is dead, but its kernel still answers with a reset
    Dark,     ///< the machine is gone and sends nothing
};

/// Partners: the frames of averaging and of transfers. Descriptor: a newcomer asks for it.
enum class StreamPurpose : std::uint8_t { PushPull, Ping, Partners, Descriptor };

/// What a node sees of an event of the network.
struct Delivery {
    enum class Kind : std::uint8_t { Datagram, Accepted, Opened, Message, Broken };
    Kind kind = Kind::Datagram;
    NodeIndex node = 0;
    NodeIndex peer = 0;
    std::uint64_t stream = 0;
    StreamPurpose purpose = StreamPurpose::PushPull;
    Bytes bytes;
    bool refused = false;  ///< of Broken: nobody listened there
};

struct Traffic {
    std::uint64_t datagrams = 0;
    std::uint64_t datagram_bytes = 0;
    std::uint64_t stream_bytes = 0;
};

/// Thread    the owner
class Network {
public:
    /// Requires  `heap` outlives the network
    Network(const NetworkOptions& options, std::size_t nodes, std::uint64_t seed, EventHeap& heap);

    /// `readable` is the size of what the datagram carries besides the packet; `mark` reaches the
    /// receiver as Delivery::stream.
    void send_datagram(
        Instant now,
        NodeIndex from,
        NodeIndex to,
        Bytes bytes,
        std::size_t readable = 0,
        std::uint64_t mark = 0
    );

    /// Starts a handshake. Later `from` gets Opened or Broken.
    std::uint64_t open_stream(Instant now, NodeIndex from, NodeIndex to, StreamPurpose purpose);

    /// Queues one message. If the stream is gone, the message is lost, as in a socket buffer.
    void send_message(Instant now, std::uint64_t stream, NodeIndex from, Bytes bytes);

    /// Closes the side of `by`. The other side gets the messages that were sent before, and then
    /// Broken.
    void close_stream(Instant now, std::uint64_t stream, NodeIndex by);

    /// Handles an event of the network. Returns what `event.node` sees of it, or nothing.
    [[nodiscard]] std::optional<Delivery> process(Instant now, Event event);

    void set_power(Instant now, NodeIndex node, Power power);

    /// Cuts machines of different groups from each other. An empty list ends the partition.
    void set_groups(std::vector<std::uint8_t> groups) { groups_ = std::move(groups); }

    /// Gives some links values of their own; the later part wins. An empty list makes all links alike again.
    void set_parts(const std::vector<NetworkPart>& parts);

    void cut_one_way(NodeIndex from, NodeIndex to) { cuts_.insert({from, to}); }

    void mend_one_way(NodeIndex from, NodeIndex to) { cuts_.erase({from, to}); }

    /// Drops all datagrams from `from` to `to`, as a firewall does. Streams pass.
    void block_datagrams(NodeIndex from, NodeIndex to) { blocks_.insert({from, to}); }

    /// Holds back everything that `from` sends to `to` until `until`.
    void clog(NodeIndex from, NodeIndex to, Instant until) { clogs_[{from, to}] = until; }

    /// Breaks all streams of a node; both ends learn of it at once.
    void reset_streams(Instant now, NodeIndex node);

    /// What was sent on a stream of a node and is to come is lost, and its ends learn of it when they have waited for
    /// stream_timeout.
    void strand_streams(Instant now, NodeIndex node);

    /// Ends partitions, cuts, blocks and clogs. Loss, duplication and resets continue.
    void heal();

    /// Replaces the fault rates from now on.
    void set_options(const NetworkOptions& options) { options_ = options; }

    [[nodiscard]] const NetworkOptions& options() const { return options_; }

    [[nodiscard]] bool connected(NodeIndex from, NodeIndex to) const;

    /// Returns whether there was no partition, cut or clog since the last heal().
    [[nodiscard]] bool whole() const { return groups_.empty() && cuts_.empty() && clogs_.empty(); }

    [[nodiscard]] const Traffic& traffic(NodeIndex node) const { return traffic_[node]; }

    [[nodiscard]] std::size_t stream_count() const { return streams_.size(); }

private:
    struct Message {
        Instant due;
        bool fin = false;
        Bytes bytes;
    };

    struct Direction {
        std::deque<Message> queue;
        Instant last_due{};
        std::optional<Instant> stalled_since;
    };

    struct Stream {
        std::array<NodeIndex, 2> ends{};  ///< initiator, acceptor
        StreamPurpose purpose = StreamPurpose::PushPull;
        bool accepted = false;
        bool opened = false;
        bool greets = false;  ///< the dial has come through in its time
        bool refused = false;
        bool dead = false;  ///< nothing more is delivered; the ends learn of the break later
        std::array<bool, 2> closed{};
        std::array<Direction, 2> directions{};  ///< [i] flows from ends[i]
    };

    using Streams = std::map<std::uint64_t, Stream>;

    /// What one link has.
    struct Link {
        Duration latency{};
        Duration jitter{};
        double loss = 0;
        double duplicate = 0;
        std::size_t mtu = 0;

        void take(const NetworkPart& part);
    };

    [[nodiscard]] Link link(NodeIndex from, NodeIndex to) const;
    [[nodiscard]] double uplink(NodeIndex node) const;
    [[nodiscard]] double downlink(NodeIndex node) const;
    [[nodiscard]] std::uint64_t link_hash(NodeIndex from, NodeIndex to) const;
    [[nodiscard]] bool lost(Instant now, NodeIndex from, NodeIndex to);
    [[nodiscard]] Duration delay(NodeIndex from, NodeIndex to);

    /// Returns how long a clog still holds back what `from` sends to `to`.
    [[nodiscard]] Duration clogged(Instant now, NodeIndex from, NodeIndex to) const;

    /// Reserves the uplink of `from` for `bytes`. Returns the time until they have left it.
    [[nodiscard]] Duration uplink_wait(Instant now, NodeIndex from, std::size_t bytes);

    /// The same for a datagram. Returns nothing if the link's queue is full of datagrams.
    [[nodiscard]] std::optional<Duration> datagram_wait(
        Instant now, NodeIndex from, std::size_t bytes
    );

    /// Returns when bytes that arrive at `at` are through the receiver's downlink.
    [[nodiscard]] Instant received(Instant at, NodeIndex to, std::size_t bytes);

    /// Returns the delay of a packet that TCP repeats until it arrives. `first` is the time between
    /// the first and the second try.
    [[nodiscard]] Duration reliable_delay(
        Instant now, NodeIndex from, NodeIndex to, Duration first
    );
    void enqueue(Instant now, std::uint64_t id, Stream& stream, std::size_t side, Message message);
    void schedule_head(Instant at, std::uint64_t id, const Stream& stream, std::size_t side);
    void schedule_break(Instant at, std::uint64_t id, const Stream& stream, std::size_t side);
    void break_both(Instant now, std::uint64_t id, Stream& stream);
    void end_side(Streams::iterator at, std::size_t side);

    [[nodiscard]] std::optional<Delivery> on_datagram(Event event);
    [[nodiscard]] std::optional<Delivery> on_accept(Instant now, Streams::iterator at);
    [[nodiscard]] std::optional<Delivery> on_open(Streams::iterator at);
    [[nodiscard]] std::optional<Delivery> on_head(
        Instant now, Streams::iterator at, std::size_t side
    );
    [[nodiscard]] std::optional<Delivery> on_break(Streams::iterator at, std::size_t side);
    [[nodiscard]] std::optional<Delivery> on_deadline(Instant now, Streams::iterator at);
    [[nodiscard]] bool stall(Instant now, Streams::iterator at, std::size_t side);

    NetworkOptions options_;
    std::uint64_t seed_;
    EventHeap& heap_;
    std::vector<Rng> rngs_;
    std::map<std::pair<NodeIndex, NodeIndex>, Link>
        links_;                          ///< of the pairs that differ from the others
    std::map<NodeIndex, double> rates_;  ///< of the machines that differ
    std::vector<Instant> uplink_free_;
    std::vector<Instant> datagrams_sent_;  ///< when the link has sent those that wait
    std::vector<Instant> downlink_free_;
    std::vector<Power> power_;
    std::vector<std::uint8_t> groups_;
    std::set<std::pair<NodeIndex, NodeIndex>> cuts_;
    std::set<std::pair<NodeIndex, NodeIndex>> blocks_;
    std::map<std::pair<NodeIndex, NodeIndex>, Instant> clogs_;
    std::vector<Traffic> traffic_;
    Streams streams_;  // a map, so that a machine that stops resets its streams in a fixed order
    std::uint64_t next_stream_ = 1;
};

}  // namespace starling::peer_virtual
