#pragma once

// Many peers in one process and in virtual time. Each node is a daemon without sockets and threads:
// a membership::Swim, optionally a gossip::Averager and a peer::Session, and a pump that drains them
// exactly as the real drivers do. The same seed gives the same run, event for event.
//
// Faults are commands: the caller runs the swarm to an instant, does something to a node or to the
// network, and runs the swarm on.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "gossip/averager.hpp"
#include "gossip/interval.hpp"
#include "membership/claim_pool.hpp"
#include "membership/swim.hpp"
#include "peer/virtual/event_heap.hpp"
#include "peer/virtual/float_vector.hpp"
#include "peer/virtual/integer_vector.hpp"
#include "peer/virtual/network.hpp"
#include "peer/virtual/session_node.hpp"
#include "peer/virtual/swarm_terms.hpp"
#include "peer/virtual/training_options.hpp"

namespace starling::peer_virtual {

struct AveragingOptions {
    gossip::AveragerConfig config;
    IntegerVector::Shape shape;
    /// If given, the parameters are floats of this shape instead of integers. They are drawn from a
    /// normal distribution with `deviation`. Before each exchange a local step adds normal draws
    /// with `step_deviation`.
    std::optional<FloatVector::Shape> floats;
    double deviation = 1.0;
    double step_deviation = 0.0;
    /// log2 of the weights of the first nodes; the others have none, so their
    /// pairs are even.
    std::vector<std::int8_t> weights;
    /// As --sync: in each round every node has one given partner, and training waits for it.
    bool sync = false;
    /// Sigma of a log-normal factor of the time between exchanges; 0: it varies by a tenth.
    double pace_sigma = 0.0;
    /// A node that starts again is a ghost until it is near its partners.
    bool ghosts = true;
    /// Initial values are uniform in [-range, range).
    std::int64_t range = std::int64_t{1} << 20U;
    /// Time between two exchanges that a node opens, varied by a tenth. In lockstep all nodes open
    /// them at the same instant.
    Duration mix_every = std::chrono::milliseconds(500);
    bool lockstep = false;
    /// As --mix-every auto: mix_every is the time of a local step, and exchanges begin when one ends. Whole
    /// peers do so if their terms say it.
    bool automatic = false;
    /// What each exchange takes from training, as `automatic` sees it.
    Duration exchange_cost{};
    /// Bytes a second that `automatic` keeps to; 0: no limit.
    double upload_limit = 0.0;
    /// Time between two local steps; zero: a node never trains.
    Duration train_every{};
    /// Probability that a delivered frame is followed by a replay of an earlier one of its link.
    double replay = 0.0;
    /// This many of the last nodes before the misfits are liars. Each frame of a liar is spoiled
    /// with the probability `lie`.
    std::size_t liars = 0;
    double lie = 0.0;
    /// This many of the last nodes are misfits: their parameters have another layout, so they are
    /// members, but nobody's partners.
    std::size_t misfits = 0;
};

struct SwarmOptions {
    std::size_t peers = 8;
    std::uint64_t seed = 1;
    membership::SwimConfig swim;
    NetworkOptions network;
    std::optional<AveragingOptions> averaging;
    /// If given, each node is a whole peer: it fetches descriptor, parameters and shards, trains,
    /// keeps its state on a disk, and ends with the others. Requires averaging on floats.
    std::optional<TrainingOptions> training;
    /// Without training: nodes publish records all the same, as often as whole peers and as long.
    bool records = false;
    /// What all clocks show at the beginning. Clocks that are set back need it: none shows less than nothing.
    Duration clock_start{};
};

enum class NodeState : std::uint8_t { Absent, Running, Paused, Leaving };

/// What happens to the session of a node.
enum class SessionNews : std::uint8_t {
    Begun,     ///< it has a descriptor: from its own flags, from a seed, or from its disk
    Trains,    ///< it has all that it needs and takes part in training
    Finished,  ///< it has ended with the others
    Failed,    ///< it has ended with a fault
};

/// A frame of a transfer between two nodes.
struct TransferFrame {
    NodeIndex from = 0;
    NodeIndex to = 0;
    peer::FrameType type = peer::FrameType::Goodbye;
    ByteView payload;
};

/// Gets the events of a swarm while it runs. Checkers and statistics derive from it.
class Observer {
public:
    virtual ~Observer() = default;

    virtual void on_member_event(
        Instant /*now*/, NodeIndex /*at*/, membership::EventKind /*kind*/, NodeIndex /*about*/
    ) {}

    virtual void on_datagram(Instant /*now*/, NodeIndex /*from*/, std::size_t /*bytes*/) {}

    /// The same datagram before it is sealed, for tests that listen.
    virtual void on_packet(NodeIndex /*from*/, NodeIndex /*to*/, ByteView /*packet*/) {}

    virtual void on_exchange(
        Instant /*now*/, NodeIndex /*at*/, const gossip::ExchangeEvent& /*event*/
    ) {}

    /// One of our own nodes has rejected what another one has sent.
    virtual void on_rejected(Instant /*now*/, NodeIndex /*at*/, const Fault& /*fault*/) {}

    virtual void on_session(
        Instant /*now*/, NodeIndex /*at*/, SessionNews /*news*/, const Fault* /*why*/
    ) {}

    /// A frame of a transfer was sent, or has arrived.
    virtual void on_transfer_sent(Instant /*now*/, const TransferFrame& /*frame*/) {}

    virtual void on_transfer_arrived(Instant /*now*/, const TransferFrame& /*frame*/) {}

    /// A stream between partners broke at `at`.
    virtual void on_partner_broken(Instant /*now*/, NodeIndex /*at*/, NodeIndex /*partner*/) {}

    /// A node begins to write a checkpoint, or it is `whole` on the node's disk.
    virtual void on_checkpoint(
        Instant /*now*/, NodeIndex /*at*/, const peer::Checkpoint& /*checkpoint*/, bool /*whole*/
    ) {}

    /// A command has changed a node's state.
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

    /// Starts a node, or starts it again with a higher boot epoch. Of its last life it keeps only
    /// addresses, or, with sessions, what is on its disk. It dials `seeds` and those addresses in
    /// turn, without an end; it leaves out those that it knows to be alive.
    void start(NodeIndex node, std::vector<NodeIndex> seeds);

    /// Starts all nodes and runs for `spread`. Node 0 founds the swarm and is the seed of the
    /// others, which start one after the other in that time. After each start, calls `started` with
    /// the number of nodes so far.
    void start_all(Duration spread, const std::function<void(std::size_t)>& started = {});

    /// Ends a node without a goodbye. It loses everything but addresses. `power` says whether its
    /// machine goes on.
    void crash(NodeIndex node, Power power = Power::Stopped);

    /// Stops a node as SIGSTOP does. What arrives then waits in bounded socket buffers.
    void pause(NodeIndex node);
    void resume(NodeIndex node);

    /// Makes a node's clock run `ppm` millionths too fast, or too slow if negative. Call it only
    /// before the node starts: a clock whose rate changes could run backwards here.
    void set_clock_error(NodeIndex node, std::int32_t ppm);

    /// Moves the steady clock of a node's machine, the only one that peers read, on or back. It stays there in later
    /// lives. A clock that jumps ahead is that of a virtual machine which was suspended, and one that goes back is
    /// that of a machine which was booted again.
    /// Requires  it shows no time before zero; by >= 0 while the node exists, for its clock never falls
    void move_clock(NodeIndex node, Duration by);

    /// Gives a node's machine another address, which nobody knows; what is sent to the old one is lost.
    /// Requires  !exists(node)
    void move_address(NodeIndex node);

    /// Returns the disk on which a whole peer keeps its state.
    [[nodiscard]] MemoryDisk& disk(NodeIndex node);

    /// Changes a byte of the newest checkpoint of a whole peer.
    /// Errors    NotFound (it has written none)
    Result<void> corrupt_checkpoint(NodeIndex node);

    /// Makes every event of a node take so long. Its other events wait meanwhile. Zero ends it.
    void set_cost(NodeIndex node, Duration cost);

    /// Makes a node say goodbye. Its process ends a few gossip ticks later.
    void leave(NodeIndex node);

    /// Lets a node say something from which others decide, as a record of its own.
    /// Requires  exists(node)
    void say(NodeIndex node, ByteView record);

    /// Sends a packet that the node itself has not made, as a liar with the swarm key can do.
    void inject(NodeIndex from, NodeIndex to, Bytes packet) {
        network_.send_datagram(now_, from, to, std::move(packet));
    }

    /// Spoils each frame of averaging that a node sends with this probability.
    void set_spoils(NodeIndex node, double share);

    /// Lets a whole peer give newcomers numbers of its own making instead of its parameters.
    void set_false_donor(NodeIndex node, bool lies);

    /// Lets it say in the end that the model does much better in its portions than it does.
    void set_false_judge(NodeIndex node, bool lies);

    /// Stops training and the opening of exchanges on all nodes. Exchanges that run go on.
    void quiesce() { mixing_ = false; }

    void stop_training() { training_ = false; }

    void stop_lying() { lying_ = false; }

    void resume_mixing() { mixing_ = true; }

    // Time.

    /// Runs all events up to and including `until`. Returns false if the swarm spins, which means
    /// that it has over a million events at one instant. Virtual time stays there.
    bool run_until(Instant until);

    bool run_for(Duration duration) { return run_until(now_ + duration); }

    [[nodiscard]] Instant now() const { return now_; }

    // State.

    [[nodiscard]] std::size_t size() const { return nodes_.size(); }

    [[nodiscard]] NodeState state(NodeIndex node) const;

    /// Returns the time that the node's own clock shows now.
    [[nodiscard]] Instant local(NodeIndex node) const;

    /// Returns whether the process exists: it is running, paused or leaving.
    [[nodiscard]] bool exists(NodeIndex node) const { return state(node) != NodeState::Absent; }

    [[nodiscard]] std::vector<NodeIndex> running() const;

    /// Requires  exists(node)
    [[nodiscard]] const membership::Swim& swim(NodeIndex node) const;
    [[nodiscard]] const gossip::Averager& averager(NodeIndex node) const;
    [[nodiscard]] const IntegerVector& vector(NodeIndex node) const;
    /// Returns how long a node waits between exchanges; nothing unless it measures that.
    [[nodiscard]] const std::optional<gossip::Interval>& interval(NodeIndex node) const;

    [[nodiscard]] const FloatVector& floats(NodeIndex node) const;

    /// Returns how long training has waited for exchanges, summed over all nodes and lives.
    [[nodiscard]] Duration waited() const;

    /// Returns the distance of the running nodes from their mean, divided by the size of their
    /// values. Both are root mean squares.
    /// Requires  float parameters
    [[nodiscard]] double consensus_error() const;

    /// Returns whether a node is a liar: its frames may be spoiled.
    [[nodiscard]] bool lies(NodeIndex node) const;

    /// Returns whether a node's layout is not that of the others.
    [[nodiscard]] bool misfit(NodeIndex node) const;

    [[nodiscard]] bool has_liars() const { return averages() && options_.averaging->liars > 0; }

    [[nodiscard]] bool averages() const { return options_.averaging.has_value(); }

    [[nodiscard]] bool has_sessions() const { return options_.training.has_value(); }

    /// Returns a node's session, or null before it has begun.
    /// Requires  has_sessions(), exists(node)
    [[nodiscard]] const SessionNode* session(NodeIndex node) const;

    [[nodiscard]] const SwarmTerms& terms() const { return *terms_; }

    [[nodiscard]] bool averages_floats() const {
        return averages() && options_.averaging->floats.has_value();
    }

    [[nodiscard]] const MassBook& book() const { return book_; }

    [[nodiscard]] Network& network() { return network_; }

    [[nodiscard]] const PeerId& id(NodeIndex node) const;
    [[nodiscard]] NodeIndex index(const PeerId& id) const;
    [[nodiscard]] std::uint64_t epoch(NodeIndex node) const;

    /// Returns the largest difference of any parameter between two running nodes. It leaves out
    /// liars and misfits, which may never agree with the others. Of floats, in thousandths.
    [[nodiscard]] std::uint64_t spread() const;

    /// Returns whether every running node lists exactly the running nodes as alive.
    [[nodiscard]] bool whole() const;

    [[nodiscard]] std::uint64_t event_count() const { return events_; }

    /// Returns a hash of all events in their order. Two runs with the same seed have the same hash;
    /// otherwise the run depends on more than the seed.
    [[nodiscard]] std::uint64_t trace_hash() const { return trace_; }

    /// Returns the address of a node's machine.
    [[nodiscard]] Endpoint endpoint(NodeIndex node) const;

private:
    struct Node;

    [[nodiscard]] std::optional<NodeIndex> index(const Endpoint& endpoint) const;
    [[nodiscard]] Rng rng(NodeIndex node, std::uint64_t purpose) const;

    void create(NodeIndex node);
    void stop(NodeIndex node, Power power);
    void remember(Node& node) const;
    void tell_state(NodeIndex node, NodeState state);
    void trace(Instant at, const Event& event);

    void dispatch(Event event);
    void on_timer(NodeIndex node, EventKind kind);
    void publish(NodeIndex node, Instant clock);
    void on_mix(NodeIndex node);
    void mix_by_time(NodeIndex node);
    void pace_exchange(NodeIndex node, const gossip::ExchangeEvent& event);
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
    [[nodiscard]] static std::uint64_t life_mark(std::uint64_t epoch, bool introduces);
    [[nodiscard]] bool opens(Node& node, const Delivery& delivery) const;
    [[nodiscard]] std::size_t pump_averager(NodeIndex node, std::size_t budget);
    void on_member_event(NodeIndex node, const membership::Event& event);
    void transmit_frame(NodeIndex node, gossip::Outgoing outgoing);
    void spoil(NodeIndex node, double share, Bytes& frame);
    void open_stream(
        NodeIndex node,
        const Endpoint& to,
        StreamPurpose purpose,
        const membership::StreamRequest& request
    );
    void send_pages(
        NodeIndex node, std::uint64_t stream, const std::vector<Bytes>& pages, bool wants_answer
    );
    void send_to_partner(NodeIndex node, NodeIndex peer, Bytes frame);
    void drop_links(NodeIndex node, NodeIndex peer);
    void tell_partner_broken(NodeIndex node, NodeIndex partner);

    // swarm_sessions.cpp
    void create_session(NodeIndex node);
    void start_session(NodeIndex node);
    void begin_session(NodeIndex node, peer::Start start);
    void dial_seeds(NodeIndex node);
    void pump_fetch(NodeIndex node);
    [[nodiscard]] bool pump_session(NodeIndex node);
    [[nodiscard]] bool pump_trainer(NodeIndex node);
    void transmit_transfer(NodeIndex node, peer::OutgoingFrame frame);
    void falsify(NodeIndex node, peer::OutgoingFrame& frame);
    static void embellish(peer::OutgoingFrame& frame);
    void on_partner_frame(Delivery& delivery);
    void on_descriptor_message(const Delivery& delivery);
    void on_session_timer(NodeIndex node, EventKind kind, Instant clock);
    void collect_checkpoint(NodeIndex node, const peer::TrainerReport& report);
    void write_checkpoint(NodeIndex node);
    void write_last_checkpoint(NodeIndex node);
    void end_session(NodeIndex node, const peer::SessionOutcome& outcome);
    void tell_session(NodeIndex node, SessionNews news, const Fault* why = nullptr);
    [[nodiscard]] std::vector<std::string> known_addresses(NodeIndex node) const;
    [[nodiscard]] std::optional<Instant> due(const Node& node, EventKind kind) const;
    [[nodiscard]] static std::optional<Instant>& armed(Node& node, EventKind kind);
    void arm(NodeIndex node, EventKind kind);
    void arm_all(NodeIndex node);

    /// Returns the first instant at which the node's own clock shows `at`.
    [[nodiscard]] Instant global(NodeIndex node, Instant at) const;
    void schedule(NodeIndex node, EventKind kind, Duration after);

    SwarmOptions options_;
    Rng root_;
    Instant now_{};
    EventHeap heap_;
    Network network_;
    MassBook book_;
    std::unique_ptr<const SwarmTerms> terms_;  ///< only with sessions
    /// The members' claims about themselves. All membership tables share them.
    std::shared_ptr<membership::ClaimPool> pool_ = std::make_shared<membership::ClaimPool>();
    std::shared_ptr<membership::Workspace> workspace_ = std::make_shared<membership::Workspace>();
    std::vector<std::unique_ptr<Node>> nodes_;
    std::unordered_map<PeerId, NodeIndex> indices_;  // never iterated: its order is not fixed
    std::vector<NodeIndex> owners_;                  ///< whose each address is, or was
    std::vector<Observer*> observers_;
    bool mixing_ = true;
    bool training_ = true;
    bool lying_ = true;
    std::uint64_t events_ = 0;
    std::uint64_t trace_ = 0;
    std::uint64_t at_this_instant_ = 0;
};

}  // namespace starling::peer_virtual
