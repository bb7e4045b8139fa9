#include "peer/virtual/swarm.hpp"

#include <cmath>
#include <cstring>
#include <utility>

#include "base/check.hpp"
#include "peer/virtual/swarm_node.hpp"
#include "peer/virtual/virtual_notary.hpp"

namespace starling::peer_virtual {

namespace {

using Kind = EventKind;

constexpr std::uint32_t kAddressBase = 0x0a000001;
constexpr std::uint16_t kPort = 7946;
/// At most so many datagrams wait for a paused process: about a default socket buffer.
constexpr std::size_t kPausedDatagramsMax = 256;
constexpr std::uint64_t kEventsPerInstantMax = 1'000'000;
/// A state directory keeps at most so many addresses for the next start.
constexpr std::size_t kRememberedMax = 16;
constexpr std::int64_t kMillion = 1'000'000;
/// The largest clock error: ten per cent, far worse than any real clock.
constexpr std::int32_t kClockErrorMax = 100'000;
constexpr Duration kLeaveLinger = std::chrono::seconds(2);

std::uint64_t hash_bytes(ByteView bytes) {
    std::uint64_t hash = bytes.size();
    while (bytes.size() >= 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, bytes.data(), 8);
        hash = mix64(hash ^ word);
        bytes = bytes.subspan(8);
    }
    for (const auto byte : bytes) hash = mix64(hash ^ static_cast<std::uint64_t>(byte));
    return hash;
}

PeerId make_id(std::uint64_t seed, NodeIndex node) {
    PeerId id;
    Rng rng(mix64(seed ^ mix64(0x1d)) + node);
    for (auto& byte : id.bytes) byte = static_cast<std::uint8_t>(rng.below(256));
    return id;
}

}  // namespace

Swarm::Swarm(const SwarmOptions& options)
    : options_(options),
      root_(options.seed),
      network_(options.network, options.peers, options.seed, heap_),
      book_(options.peers) {
    STARLING_CHECK(options.peers > 0 && options.swim.validate().has_value());
    if (has_sessions()) {
        STARLING_CHECK(averages_floats());
        const auto& averaging = *options.averaging;
        terms_ = std::make_unique<const SwarmTerms>(
            SwarmTerms::make(*options.training, averaging.config, averaging.sync, options.seed)
        );
    }
    for (NodeIndex i = 0; i < options.peers; ++i) {
        auto node = std::make_unique<Node>();
        node->id = make_id(options.seed, i);
        node->address = i;
        owners_.push_back(i);
        indices_[node->id] = i;
        nodes_.push_back(std::move(node));
    }
}

Swarm::~Swarm() = default;

Endpoint Swarm::endpoint(NodeIndex node) const {
    return Endpoint::v4(kAddressBase + nodes_[node]->address, kPort);
}

std::optional<NodeIndex> Swarm::index(const Endpoint& endpoint) const {
    if (!endpoint.is_v4() || endpoint.port != kPort) return std::nullopt;
    std::uint32_t address = 0;
    for (std::size_t i = 12; i < 16; ++i) address = (address << 8U) | endpoint.address[i];
    if (address < kAddressBase || address - kAddressBase >= owners_.size()) return std::nullopt;
    const auto owner = owners_[address - kAddressBase];
    if (nodes_[owner]->address != address - kAddressBase) return std::nullopt;  // it has moved
    return owner;
}

NodeIndex Swarm::index(const PeerId& id) const {
    const auto found = indices_.find(id);
    STARLING_CHECK(found != indices_.end());
    return found->second;
}

Rng Swarm::rng(NodeIndex node, std::uint64_t purpose) const {
    return root_.fork(mix64(mix64(node) ^ nodes_[node]->epoch) ^ purpose);
}

// Commands.

void Swarm::start(NodeIndex index, std::vector<NodeIndex> seeds) {
    auto& node = *nodes_[index];
    STARLING_CHECK(node.state == NodeState::Absent);
    ++node.epoch;
    node.seeds = std::move(seeds);
    node.seeds.insert(node.seeds.end(), node.remembered.begin(), node.remembered.end());
    std::erase(node.seeds, index);
    network_.set_power(now_, index, Power::On);
    create(index);
    tell_state(index, NodeState::Running);
    if (node.session) {
        start_session(index);
    } else if (!node.seeds.empty()) {
        heap_.push(now_, {Kind::Join, index, 0, 0, node.epoch, {}});
    }
    pump(index);
}

void Swarm::create(NodeIndex index) {
    auto& node = *nodes_[index];
    node.rng = rng(index, 1);
    node.swim.emplace(
        options_.swim,
        membership::Swim::Self{
            node.id,
            endpoint(index),
            node.epoch,
            std::make_shared<VirtualNotary>(node.id),
            pool_,
            workspace_},
        rng(index, 2),
        local(index)
    );
    if (!options_.averaging) return;
    const auto& averaging = *options_.averaging;
    gossip::ParameterVector* parameters = nullptr;
    if (averaging.floats) {
        node.floats =
            std::make_unique<FloatVector>(*averaging.floats, averaging.deviation, rng(index, 3));
        parameters = node.floats.get();
    } else {
        node.vector = std::make_unique<IntegerVector>(averaging.shape, index, book_, rng(index, 3));
        node.vector->randomize(averaging.range);
        node.vector->stand_outside([&node] { return node.averager && node.averager->ghost(); });
        parameters = node.vector.get();
    }
    LayoutHash layout{};
    if (misfit(index)) layout.bytes.fill(1);
    node.averager.emplace(averaging.config, node.id, layout, *parameters, rng(index, 4));
    node.averager->adopt_parameters();
    if (index < averaging.weights.size()) {
        node.averager->set_weight(averaging.weights[index]);
        book_.weigh(index, averaging.weights[index]);
    }
    if (has_sessions()) return create_session(index);
    // In its first life a node counts from the start. A later life starts in a swarm that has moved
    // on, so the node is a ghost first.
    if (averaging.ghosts && node.epoch > 1) node.averager->set_ghost(true);
    node.waits_since.reset();
    node.interval.reset();
    if (averaging.automatic) {
        node.interval.emplace(gossip::Interval::Limits{averaging.upload_limit, std::nullopt});
    }
    schedule(index, Kind::Mix, averaging.mix_every);
    if (averaging.train_every > Duration::zero()) {
        schedule(index, Kind::Train, averaging.train_every);
    }
}

void Swarm::start_all(Duration spread, const std::function<void(std::size_t)>& started) {
    const auto begin = now_;
    const auto count = static_cast<std::int64_t>(size());
    for (NodeIndex i = 0; i < size(); ++i) {
        run_until(begin + spread * std::int64_t{i} / count);
        start(i, i == 0 ? std::vector<NodeIndex>{} : std::vector<NodeIndex>{0});
        if (started) started(i + 1);
    }
    run_until(begin + spread);
}

void Swarm::stop(NodeIndex index, Power power) {
    auto& node = *nodes_[index];
    if (node.session) {
        node.session->die(power == Power::Dark, node.rng);
    } else {
        remember(node);
    }
    network_.set_power(now_, index, power);
    node.session.reset();
    node.averager.reset();
    node.vector.reset();
    node.floats.reset();
    node.swim.reset();
    node.armed.fill(std::nullopt);
    node.pumping_later = false;
    // Stream events that waited for the paused node go back to the network. It tells the partners
    // that nobody reads their data any more.
    for (auto& event : std::exchange(node.waiting, {})) {
        if (event.life == 0 && event.kind != Kind::Datagram) heap_.push(now_, std::move(event));
    }
    node.waiting_datagrams = 0;
    node.links.clear();
    node.unopened.clear();
    node.asked.clear();
    node.met.clear();
    node.history.clear();
    node.published_at.reset();
    node.records = 0;
    book_.forget(index);
    tell_state(index, NodeState::Absent);
}

void Swarm::remember(Node& node) const {
    node.remembered.clear();
    for (const auto& member : node.swim->members()) {
        if (node.remembered.size() >= kRememberedMax) break;
        if (member.id != node.id) node.remembered.push_back(this->index(member.id));
    }
}

void Swarm::crash(NodeIndex index, Power power) {
    STARLING_CHECK(exists(index) && power != Power::On);
    stop(index, power);
}

void Swarm::pause(NodeIndex index) {
    STARLING_CHECK(state(index) == NodeState::Running);
    tell_state(index, NodeState::Paused);
}

void Swarm::resume(NodeIndex index) {
    STARLING_CHECK(state(index) == NodeState::Paused);
    tell_state(index, NodeState::Running);
    auto& node = *nodes_[index];
    for (auto& event : std::exchange(node.waiting, {})) heap_.push(now_, std::move(event));
    node.waiting_datagrams = 0;
}

void Swarm::leave(NodeIndex index) {
    STARLING_CHECK(state(index) == NodeState::Running);
    auto& node = *nodes_[index];
    tell_state(index, NodeState::Leaving);
    if (node.averager) node.averager->set_accepting(false);
    if (node.session) {
        node.session->session().stop();
        write_last_checkpoint(index);
    }
    node.swim->leave(local(index));
    heap_.push(now_ + kLeaveLinger, {Kind::Exit, index, 0, 0, node.epoch, {}});
    pump(index);
}

void Swarm::set_clock_error(NodeIndex index, std::int32_t ppm) {
    STARLING_CHECK(state(index) == NodeState::Absent && std::abs(ppm) <= kClockErrorMax);
    nodes_[index]->clock_ppm = ppm;
}

void Swarm::move_clock(NodeIndex index, Duration by) {
    auto& node = *nodes_[index];
    STARLING_CHECK(by >= Duration::zero() || !exists(index));
    node.clock_offset += by;
    STARLING_CHECK(local(index) >= Instant{});
    // What was due in a while is due now.
    if (exists(index)) arm_all(index);
}

void Swarm::move_address(NodeIndex index) {
    STARLING_CHECK(!exists(index));
    nodes_[index]->address = static_cast<std::uint32_t>(owners_.size());
    owners_.push_back(index);
}

MemoryDisk& Swarm::disk(NodeIndex index) {
    return nodes_[index]->disk;
}

void Swarm::set_spoils(NodeIndex index, double share) {
    nodes_[index]->spoils = share;
}

void Swarm::set_cost(NodeIndex index, Duration cost) {
    nodes_[index]->cost = cost;
}

Instant Swarm::local(NodeIndex index) const {
    const auto ppm = nodes_[index]->clock_ppm;
    const auto elapsed = now_.time_since_epoch().count();
    // The product is computed in two parts, so that it does not overflow and time never falls.
    const Duration gained(elapsed / kMillion * ppm + elapsed % kMillion * ppm / kMillion);
    return now_ + gained + nodes_[index]->clock_offset + options_.clock_start;
}

Instant Swarm::global(NodeIndex index, Instant at) const {
    const auto ppm = nodes_[index]->clock_ppm;
    at -= nodes_[index]->clock_offset + options_.clock_start;
    if (ppm == 0) return at;
    const auto shown = at.time_since_epoch().count();
    const auto rate = kMillion + ppm;
    // The divisions here and in local() together round by less than 2 ns.
    return Instant(Duration(shown / rate * kMillion + shown % rate * kMillion / rate + 2));
}

void Swarm::tell_state(NodeIndex node, NodeState state) {
    nodes_[node]->state = state;
    for (auto* observer : observers_) observer->on_node_state(now_, node, state);
}

// Time.

bool Swarm::run_until(Instant until) {
    while (const auto next = heap_.next_time()) {
        if (*next > until) break;
        if (*next != now_) at_this_instant_ = 0;
        if (++at_this_instant_ > kEventsPerInstantMax) return false;
        now_ = *next;
        auto event = heap_.pop();
        ++events_;
        trace(now_, event);
        dispatch(std::move(event));
    }
    if (until > now_) {
        now_ = until;
        at_this_instant_ = 0;
    }
    return true;
}

void Swarm::trace(Instant at, const Event& event) {
    const auto time = static_cast<std::uint64_t>(at.time_since_epoch().count());
    const auto who = (std::uint64_t{event.node} << 32U) | event.peer;
    trace_ = mix64(trace_ ^ time);
    trace_ = mix64(trace_ ^ who ^ (static_cast<std::uint64_t>(event.kind) << 60U));
    trace_ = mix64(trace_ ^ event.stream ^ hash_bytes(event.bytes));
}

void Swarm::dispatch(Event event) {
    auto& node = *nodes_[event.node];
    const bool own = event.life != 0;
    if (own && (event.life != node.epoch || node.state == NodeState::Absent)) return;
    if (node.state == NodeState::Paused) {
        const bool datagram = event.kind == Kind::Datagram;
        if (datagram && ++node.waiting_datagrams > kPausedDatagramsMax) return;
        node.waiting.push_back(std::move(event));
        return;
    }
    if (node.cost > Duration::zero()) {
        if (now_ < node.busy_until) {
            heap_.push(node.busy_until, std::move(event));
            return;
        }
        node.busy_until = now_ + node.cost;
    }
    switch (event.kind) {
        case Kind::SwimTimer:
        case Kind::AveragerTimer:
        case Kind::SessionTimer:
        case Kind::TrainerTimer:
        case Kind::FetchTimer:
            return on_timer(event.node, event.kind);
        case Kind::Mix:
            return on_mix(event.node);
        case Kind::Train:
            return on_train(event.node);
        case Kind::Join:
            return on_join(event.node);
        case Kind::Pump:
            node.pumping_later = false;
            return pump(event.node);
        case Kind::Exit:
            return stop(event.node, Power::Stopped);
        default:
            break;
    }
    if (auto delivery = network_.process(now_, std::move(event))) on_delivery(std::move(*delivery));
}

void Swarm::schedule(NodeIndex index, Kind kind, Duration after) {
    auto& node = *nodes_[index];
    auto at = now_ + after;
    if (options_.averaging && options_.averaging->lockstep && kind == Kind::Mix) {
        at = Instant((now_.time_since_epoch() / after + 1) * after);
    } else {
        double factor = 0.9 + 0.2 * node.rng.uniform();
        const double sigma = options_.averaging ? options_.averaging->pace_sigma : 0.0;
        if (sigma > 0.0 && kind == Kind::Mix) factor = std::exp(sigma * node.rng.normal());
        at = now_ + from_seconds(to_seconds(after) * factor);
    }
    heap_.push(at, {kind, index, 0, 0, node.epoch, {}});
}

}  // namespace starling::peer_virtual
