// The part of Swarm that drives the state machines of one node: their timers, mixing, training and
// joining, and the pump that drains their output as the real drivers do.

#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "peer/terms/record.hpp"
#include "peer/virtual/swarm_node.hpp"

namespace starling::peer_virtual {

namespace {

using Kind = EventKind;
using Happening = membership::EventKind;

/// At most so many successful calls of poll_* in one turn. The rest of the work comes after the
/// other events that are due.
constexpr std::size_t kTurnMax = 256;
constexpr Duration kJoinRetry = std::chrono::seconds(2);
constexpr Duration kPublishEvery = std::chrono::seconds(1);
constexpr std::uint64_t kStepsEach = 20;
constexpr std::uint64_t kSamplesEach = 1280;
constexpr Duration kSeedRetry = std::chrono::seconds(10);

}  // namespace

void Swarm::on_timer(NodeIndex index, Kind kind) {
    auto& node = *nodes_[index];
    auto& set = armed(node, kind);
    if (!set || *set > now_) return;
    set.reset();
    const auto clock = local(index);
    if (const auto at = due(node, kind); at && *at <= clock) {
        if (kind == Kind::AveragerTimer) {
            node.averager->handle_timeout(clock);
        } else if (kind == Kind::SwimTimer) {
            node.swim->handle_timeout(clock);
            if (options_.records && !node.session) publish(index, clock);
        } else {
            on_session_timer(index, kind, clock);
        }
    }
    if (exists(index)) pump(index);
}

/// Says what a peer says that trains: the first record decides something, the others are counters.
void Swarm::publish(NodeIndex index, Instant clock) {
    auto& node = *nodes_[index];
    if (node.published_at && clock - *node.published_at < kPublishEvery) return;
    node.published_at = clock;
    peer::Record record;
    record.state = peer::PeerState::Training;
    record.steps = kStepsEach * node.records;
    record.samples = kSamplesEach * node.records;
    record.test_loss = 1.0F;
    record.shards = 1;
    record.held = 1;
    record.speed = std::int16_t{80};
    record.duty = peer::DutyProgress{};
    node.swim->set_record(clock, peer::encode_record(record), node.records == 0);
    ++node.records;
}

void Swarm::say(NodeIndex index, ByteView record) {
    nodes_[index]->swim->set_record(local(index), record, true);
    pump(index);
}

void Swarm::on_mix(NodeIndex index) {
    auto& node = *nodes_[index];
    const auto& averaging = *options_.averaging;
    const bool mixes = mixing_ && node.state == NodeState::Running;
    if (!averaging.sync || !mixes) schedule(index, Kind::Mix, averaging.mix_every);
    if (!mixes) return;
    if (averaging.step_deviation > 0.0 && training_) node.floats->train(averaging.step_deviation);
    if (node.interval) return mix_by_time(index);
    if (!averaging.sync) {
        (void)node.averager->begin_exchange(local(index));
        pump(index);
        return;
    }
    node.waits_since = now_;
    (void)node.averager->begin_round(local(index), ++node.round);
    pump(index);
    mixed(index);
}

/// A step has ended: opens an exchange if one is due.
void Swarm::mix_by_time(NodeIndex index) {
    auto& node = *nodes_[index];
    ++node.steps;
    const auto due = node.interval->due();
    if (!due || *due > local(index)) return;
    const bool begun = node.averager->begin_exchange(local(index));
    node.interval->handle_asked(local(index), begun, node.swim->alive_count() < 2);
    pump(index);
}

void Swarm::pace_exchange(NodeIndex index, const gossip::ExchangeEvent& event) {
    auto& node = *nodes_[index];
    const auto& averaging = *options_.averaging;
    if (node.session) {
        node.session->session().handle_exchange(local(index), event, averaging.exchange_cost);
    } else if (node.interval) {
        const gossip::Interval::Measured measured{
            averaging.exchange_cost, averaging.mix_every, node.steps};
        node.interval->handle_end(local(index), event, measured);
    }
}

/// With sync: lets training go on when the round is over.
void Swarm::mixed(NodeIndex index) {
    auto& node = *nodes_[index];
    if (!node.averager || !node.waits_since) return;
    const auto& averager = *node.averager;
    if (averager.in_round()) return;
    node.waited += now_ - *node.waits_since;
    node.waits_since.reset();
    schedule(index, Kind::Mix, options_.averaging->mix_every);
}

void Swarm::on_train(NodeIndex index) {
    auto& node = *nodes_[index];
    schedule(index, Kind::Train, options_.averaging->train_every);
    if (!mixing_ || !training_) return;
    if (node.vector) node.vector->train(options_.averaging->range);
    if (node.floats) node.floats->train(options_.averaging->deviation);
}

void Swarm::on_join(NodeIndex index) {
    auto& node = *nodes_[index];
    if (node.session) return dial_seeds(index);
    if (node.state != NodeState::Running) return;
    // A node must not stop dialling its seeds when it knows one other node. Two newcomers that meet
    // behind a cut know nobody else, and nobody else looks for them.
    for (std::size_t tried = 0; tried < node.seeds.size(); ++tried) {
        const auto seed = node.seeds[node.next_seed++ % node.seeds.size()];
        const auto member = node.swim->find(id(seed));
        if (member && member->state <= membership::MemberState::Suspect) continue;
        open_stream(index, endpoint(seed), StreamPurpose::PushPull, {});
        break;
    }
    schedule(index, Kind::Join, node.swim->alive_count() > 1 ? kSeedRetry : kJoinRetry);
}

// The pump. It runs after every call into a state machine, as in the real drivers.

void Swarm::pump(NodeIndex index) {
    auto& node = *nodes_[index];
    std::size_t budget = kTurnMax;
    do {
        budget = pump_swim(index, budget);
        if (node.averager) budget = pump_averager(index, budget);
    } while (node.session && pump_session(index) && budget > 0);
    if (!exists(index)) return;  // nobody gave it a descriptor
    if (budget == 0 && !node.pumping_later) {
        node.pumping_later = true;
        heap_.push(now_, {Kind::Pump, index, 0, 0, node.epoch, {}});
    }
    arm_all(index);
    mixed(index);
}

std::size_t Swarm::pump_swim(NodeIndex index, std::size_t budget) {
    auto& swim = *nodes_[index]->swim;
    bool more = true;
    while (more && budget > 0) {
        more = false;
        while (budget > 0) {
            auto datagram = swim.poll_transmit();
            if (!datagram) break;
            --budget;
            const bool introduces = !datagram->receiver;
            const auto readable = introduces ? swim.introduction().size() : 0;
            for (auto* observer : observers_) {
                const auto sealed = datagram->bytes.size() + membership::kSealOverhead;
                observer->on_datagram(now_, index, sealed + readable);
            }
            if (const auto to = this->index(datagram->to)) {
                for (auto* observer : observers_) observer->on_packet(index, *to, datagram->bytes);
                const auto mark = life_mark(swim.incarnation().epoch, introduces);
                network_.send_datagram(
                    now_, index, *to, std::move(datagram->bytes), readable, mark
                );
            }
        }
        while (budget > 0) {
            const auto request = swim.poll_stream();
            if (!request) break;
            --budget;
            const bool ping = request->kind == membership::StreamRequest::Kind::Ping;
            const auto purpose = ping ? StreamPurpose::Ping : StreamPurpose::PushPull;
            open_stream(index, request->to, purpose, *request);
        }
        while (budget > 0) {
            const auto event = swim.poll_event();
            if (!event) break;
            --budget;
            on_member_event(index, *event);
            more = true;
        }
    }
    return budget;
}

/// What the seal of a datagram tells: the life of its sender, and whether it introduces that life.
std::uint64_t Swarm::life_mark(std::uint64_t epoch, bool introduces) {
    return epoch << 1U | std::uint64_t{introduces};
}

/// Decides as peer::Opener does. A packet that was injected is a liar's, who knows all keys.
bool Swarm::opens(Node& node, const Delivery& delivery) const {
    const auto epoch = delivery.stream >> 1U;
    if (epoch == 0) return true;
    const auto met = node.met.find(delivery.peer);
    const auto known = met == node.met.end() ? 0 : met->second;
    if (known > epoch) return false;
    if (known == epoch) return true;
    if ((delivery.stream & 1U) == 0) {
        const auto* claim = node.swim->claim_of(membership::ShortId(id(delivery.peer)));
        return claim != nullptr && claim->incarnation.epoch == epoch;
    }
    node.met[delivery.peer] = epoch;
    return true;
}

std::size_t Swarm::pump_averager(NodeIndex index, std::size_t budget) {
    auto& averager = *nodes_[index]->averager;
    bool more = true;
    while (more && budget > 0) {
        more = false;
        while (budget > 0) {
            auto outgoing = averager.poll_transmit();
            if (!outgoing) break;
            --budget;
            transmit_frame(index, std::move(*outgoing));
        }
        while (budget > 0) {
            const auto event = averager.poll_event();
            if (!event) break;
            --budget;
            for (auto* observer : observers_) observer->on_exchange(now_, index, *event);
            pace_exchange(index, *event);
            more = true;
        }
    }
    return budget;
}

std::optional<Instant> Swarm::due(const Node& node, Kind kind) const {
    switch (kind) {
        case Kind::SwimTimer:
            return node.swim->poll_timeout();
        case Kind::AveragerTimer:
            return node.averager->poll_timeout();
        case Kind::SessionTimer:
            return node.session->session().poll_timeout();
        case Kind::TrainerTimer:
            return node.session->trainer().poll_timeout();
        case Kind::FetchTimer:
            return node.session->fetching() ? node.session->fetch()->poll_timeout() : std::nullopt;
        default:
            STARLING_UNREACHABLE("not a timer");
    }
}

std::optional<Instant>& Swarm::armed(Node& node, Kind kind) {
    switch (kind) {
        case Kind::SwimTimer:
            return node.armed[0];
        case Kind::AveragerTimer:
            return node.armed[1];
        case Kind::SessionTimer:
            return node.armed[2];
        case Kind::TrainerTimer:
            return node.armed[3];
        case Kind::FetchTimer:
            return node.armed[4];
        default:
            STARLING_UNREACHABLE("not a timer");
    }
}

void Swarm::arm(NodeIndex index, Kind kind) {
    auto& node = *nodes_[index];
    const auto next = due(node, kind);
    if (!next) return;
    // If an earlier timer is set, it arms a new one when it fires. So a deadline that moves often
    // does not cost an event each time.
    const auto at = std::max(global(index, *next), now_);
    auto& set = armed(node, kind);
    if (set && *set <= at) return;
    set = at;
    heap_.push(at, {kind, index, 0, 0, node.epoch, {}});
}

void Swarm::arm_all(NodeIndex index) {
    const auto& node = *nodes_[index];
    arm(index, Kind::SwimTimer);
    if (node.averager) arm(index, Kind::AveragerTimer);
    if (!node.session) return;
    for (const auto kind : {Kind::SessionTimer, Kind::TrainerTimer, Kind::FetchTimer}) {
        arm(index, kind);
    }
}

void Swarm::on_member_event(NodeIndex index, const membership::Event& event) {
    auto& node = *nodes_[index];
    const auto about = this->index(event.id);
    for (auto* observer : observers_) observer->on_member_event(now_, index, event.kind, about);
    if (!node.averager || about == index) return;
    auto* session = node.session ? &node.session->session() : nullptr;
    switch (event.kind) {
        case Happening::Up:
            // A session says itself who is a partner: only those that train.
            if (session != nullptr) {
                session->member_up(local(index));
            } else {
                node.averager->peer_up(local(index), event.id);
            }
            break;
        case Happening::Failed:
        case Happening::Left:
            if (session != nullptr) session->member_down(local(index), event.id);
            node.averager->peer_down(local(index), event.id);
            drop_links(index, about);
            break;
        default:
            break;
    }
}

}  // namespace starling::peer_virtual
