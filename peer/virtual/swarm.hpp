#pragma once

// Many peers in one process and in virtual time. Each node is what the daemon is without its
// sockets and threads: a membership::Swim, optionally a gossip::Averager, and a pump that drains
// them exactly as the real drivers do. The same seed gives the same run, event for event.
//
// Faults are commands: the caller runs to an instant, does something to a node or to the network,
// and runs on.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "gossip/averager.hpp"
#include "membership/claim_pool.hpp"
#include "membership/swim.hpp"
#include "peer/virtual/event_heap.hpp"
#include "peer/virtual/float_vector.hpp"
#include "peer/virtual/integer_vector.hpp"
#include "peer/virtual/network.hpp"

namespace starling::peer_virtual {

struct AveragingOptions {
    gossip::AveragerConfig config;
    IntegerVector::Shape shape;
    /// Float parameters of this shape instead of integers, drawn normal with this deviation; a
    /// local step then adds normal draws with that of training.
    std::optional<FloatVector::Shape> floats;
    double deviation = 1.0;
    double step_deviation = 0.0;
    /// Rounds with a partner for each, and training waits for the exchange.
    bool sync = false;
    /// Spread of the time between exchanges: sigma of a log-normal factor; 0 keeps the jitter.
    double pace_sigma = 0.0;
    /// A node that starts again stands outside the sum until it has caught up.
    bool ghosts = true;
    /// Initial values are uniform in [-range, range).
    std::int64_t range = std::int64_t{1} << 20U;
    /// A node opens an exchange this often, jittered by a tenth; in lockstep all do at one instant.
    Duration mix_every = std::chrono::milliseconds(500);
    bool lockstep = false;
    /// A local step this often; zero never trains.
    Duration train_every{};
    /// Chance that a delivered frame is followed by a replay of an earlier one of the same link.
    double replay = 0.0;
    /// The last nodes but the strangers lie: a frame of theirs is spoiled with this chance.
    std::size_t liars = 0;
    double lie = 0.0;
    /// The last nodes have parameters of another layout: members, but nobody's partners.
    std::size_t strangers = 0;
};

struct SwarmOptions {
    std::size_t peers = 8;
    std::uint64_t seed = 1;
    membership::SwimConfig swim;
    NetworkOptions network;
    std::optional<AveragingOptions> averaging;
};

enum class NodeState : std::uint8_t { Absent, Running, Paused, Leaving };

/// What a swarm tells about itself while it runs; checkers and statistics derive from it.
class Observer {
public:
    virtual ~Observer() = default;

    virtual void on_member_event(
        Instant /*now*/, NodeIndex /*at*/, membership::EventKind /*kind*/, NodeIndex /*about*/
    ) {}

    virtual void on_datagram(Instant /*now*/, NodeIndex /*from*/, std::size_t /*bytes*/) {}

    /// The same, before it is sealed, for eavesdroppers.
    virtual void on_packet(NodeIndex /*from*/, NodeIndex /*to*/, ByteView /*packet*/) {}

    virtual void on_exchange(
        Instant /*now*/, NodeIndex /*at*/, const gossip::ExchangeEvent& /*event*/
    ) {}

    /// One of our own machines rejected what another of them sent.
    virtual void on_rejected(Instant /*now*/, NodeIndex /*at*/, const Fault& /*fault*/) {}

    /// A node changed its state through a command.
    virtual void on_node_state(Instant /*now*/, NodeIndex /*at*/, NodeState /*state*/) {}
};

/// Thread    the owner
class Swarm {
public:
    explicit Swarm(const SwarmOptions& options);
    ~Swarm();
    Swarm(const Swarm&) = delete;
    Swarm& operator=(const Swarm&) = delete;
    Swarm(Swarm&&) = delete;
    Swarm& operator=(Swarm&&) = delete;

    /// Requires  `observer` outlives the swarm
    void observe(Observer& observer) { observers_.push_back(&observer); }

    // Commands on nodes.

    /// Starts a node, or starts it again: a higher boot epoch, everything forgotten but addresses.
    /// It dials `seeds` and those addresses in turn, for ever, unless it knows them to be alive.
    void start(NodeIndex node, std::vector<NodeIndex> seeds);

    /// Starts all nodes; node 0 founds the swarm and is the seed of the others, which come one
    /// after the other within `spread`. `started` is told how many there are, after each.
    void start_all(Duration spread, const std::function<void(std::size_t)>& started = {});

    /// Ends a node without a word; its state is lost. `power` says whether its machine lives on.
    void crash(NodeIndex node, Power power = Power::Stopped);

    /// Stops a node as SIGSTOP does: what arrives waits in bounded socket buffers.
    void pause(NodeIndex node);
    void resume(NodeIndex node);

    /// Lets a node's clock run `ppm` millionths fast (or slow, if negative). Before its start only:
    /// a clock that changes its rate could run backwards here.
    void set_clock_error(NodeIndex node, std::int32_t ppm);

    /// Makes every event of a node take so long, during which all others wait; zero ends that.
    void set_cost(NodeIndex node, Duration cost);

    /// Says goodbye; the process ends a few gossip ticks later.
    void leave(NodeIndex node);

    /// Sends a packet that the node's machine has not made: what a liar with the swarm key can do.
    void inject(NodeIndex from, NodeIndex to, Bytes packet) {
        network_.send_datagram(now_, from, to, std::move(packet));
    }

    /// Stops training and the opening of exchanges everywhere, so that what is in flight ends.
    void quiesce() { mixing_ = false; }

    void stop_training() { training_ = false; }

    void stop_lying() { lying_ = false; }

    void resume_mixing() { mixing_ = true; }

    // Time.

    /// Runs all events up to and including `until`. False when the swarm spins: more events at one
    /// instant than any sound swarm has; then time stands still.
    bool run_until(Instant until);

    bool run_for(Duration duration) { return run_until(now_ + duration); }

    [[nodiscard]] Instant now() const { return now_; }

    // What is.

    [[nodiscard]] std::size_t size() const { return nodes_.size(); }

    [[nodiscard]] NodeState state(NodeIndex node) const;

    /// Running or paused or leaving: the process exists.
    [[nodiscard]] bool exists(NodeIndex node) const { return state(node) != NodeState::Absent; }

    [[nodiscard]] std::vector<NodeIndex> running() const;

    /// Requires  exists(node)
    [[nodiscard]] const membership::Swim& swim(NodeIndex node) const;
    [[nodiscard]] const gossip::Averager& averager(NodeIndex node) const;
    [[nodiscard]] const IntegerVector& vector(NodeIndex node) const;

    [[nodiscard]] const FloatVector& floats(NodeIndex node) const;

    /// How long training has waited for exchanges, summed over all nodes and lives.
    [[nodiscard]] Duration waited() const;

    /// Distance of the running nodes from their mean over the size of their values, both as root
    /// mean squares. Floats only.
    [[nodiscard]] double consensus_error() const;

    /// Whether a node's frames may be spoiled, or its layout is not the others'.
    [[nodiscard]] bool lies(NodeIndex node) const;
    [[nodiscard]] bool stranger(NodeIndex node) const;

    [[nodiscard]] bool has_liars() const { return averages() && options_.averaging->liars > 0; }

    [[nodiscard]] bool averages() const { return options_.averaging.has_value(); }

    [[nodiscard]] bool averages_floats() const {
        return averages() && options_.averaging->floats.has_value();
    }

    [[nodiscard]] const MassBook& book() const { return book_; }

    [[nodiscard]] Network& network() { return network_; }

    [[nodiscard]] const PeerId& id(NodeIndex node) const;
    [[nodiscard]] NodeIndex index(const PeerId& id) const;
    [[nodiscard]] std::uint64_t epoch(NodeIndex node) const;

    /// Largest difference of any parameter between two running nodes that neither lie nor are
    /// strangers: these may stay outside for good. Of floats, in thousandths.
    [[nodiscard]] std::uint64_t spread() const;

    /// True when every running node lists exactly the running nodes as alive.
    [[nodiscard]] bool whole() const;

    [[nodiscard]] std::uint64_t event_count() const { return events_; }

    /// A hash of everything that happened, in order: equal for equal seeds, or something in the
    /// machines depends on more than the seed.
    [[nodiscard]] std::uint64_t trace_hash() const { return trace_; }

private:
    struct Node;

    [[nodiscard]] Endpoint endpoint(NodeIndex node) const;
    [[nodiscard]] std::optional<NodeIndex> index(const Endpoint& endpoint) const;
    [[nodiscard]] Rng rng(NodeIndex node, std::uint64_t purpose) const;

    void create(NodeIndex node);
    void stop(NodeIndex node, Power power);
    void remember(Node& node) const;
    void tell_state(NodeIndex node, NodeState state);
    void trace(Instant at, const Event& event);

    void dispatch(Event event);
    void on_timer(NodeIndex node, bool averaging);
    void on_mix(NodeIndex node);
    void mixed(NodeIndex node);
    void on_train(NodeIndex node);
    void on_join(NodeIndex node);
    void on_delivery(Delivery delivery);
    void on_accepted(const Delivery& delivery);
    void on_opened(const Delivery& delivery);
    void on_broken(const Delivery& delivery);
    void on_page(Delivery& delivery);
    void on_stream_ping(const Delivery& delivery);
    void on_frame(Delivery& delivery);
    void handle_frame(const Delivery& delivery, ByteView frame);
    void tell_rejected(NodeIndex node, const Fault& fault);

    void pump(NodeIndex node);
    [[nodiscard]] std::size_t pump_swim(NodeIndex node, std::size_t budget);
    [[nodiscard]] std::size_t pump_averager(NodeIndex node, std::size_t budget);
    void on_member_event(NodeIndex node, const membership::Event& event);
    void transmit_frame(NodeIndex node, gossip::Outgoing outgoing);
    void spoil(NodeIndex node, Bytes& frame);
    void open_stream(
        NodeIndex node,
        const Endpoint& to,
        StreamPurpose purpose,
        const membership::StreamRequest& request
    );
    void send_pages(
        NodeIndex node, std::uint64_t stream, const std::vector<Bytes>& pages, bool wants_answer
    );
    void drop_links(NodeIndex node, NodeIndex peer);
    void arm(NodeIndex node, EventKind kind);

    /// The node's own clock, and the first instant at which that shows `at`.
    [[nodiscard]] Instant local(NodeIndex node) const;
    [[nodiscard]] Instant global(NodeIndex node, Instant at) const;
    void schedule(NodeIndex node, EventKind kind, Duration after);

    SwarmOptions options_;
    Rng root_;
    Instant now_{};
    EventHeap heap_;
    Network network_;
    MassBook book_;
    /// What members say of themselves, once for all tables.
    std::shared_ptr<membership::ClaimPool> pool_ = std::make_shared<membership::ClaimPool>();
    std::vector<std::unique_ptr<Node>> nodes_;
    std::unordered_map<PeerId, NodeIndex> indices_;  // looked up, never walked
    std::vector<Observer*> observers_;
    bool mixing_ = true;
    bool training_ = true;
    bool lying_ = true;
    std::uint64_t events_ = 0;
    std::uint64_t trace_ = 0;
    std::uint64_t at_this_instant_ = 0;
};

}  // namespace starling::peer_virtual
