#include "peer/virtual/network.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/check.hpp"
#include "membership/config.hpp"

namespace starling::peer_virtual {

namespace {

/// A packet of a stream is lost at most so often in a row. More retransmissions would take longer
/// than the stream's timeout.
constexpr int kTriesMax = 6;
/// Bytes of the headers of IPv6 and UDP.
constexpr std::size_t kHeaders = 40 + 8;
constexpr std::uint64_t kNetworkPurpose = 0x6e6574;

/// Maps a hash to [1/2, 3/2): the factor of one link relative to the swarm's mean.
double link_factor(std::uint64_t hash) {
    return 0.5 + static_cast<double>(hash >> 11U) * 0x1.0p-53;
}

Duration scale(Duration duration, double factor) {
    return Duration(std::llround(static_cast<double>(duration.count()) * factor));
}

}  // namespace

Network::Network(
    const NetworkOptions& options, std::size_t nodes, std::uint64_t seed, EventHeap& heap
)
    : options_(options),
      seed_(mix64(seed ^ kNetworkPurpose)),
      heap_(heap),
      uplink_free_(nodes),
      datagrams_sent_(nodes),
      downlink_free_(nodes),
      power_(nodes, Power::Dark),
      traffic_(nodes) {
    const Rng root(seed_);
    rngs_.reserve(nodes);
    for (std::size_t i = 0; i < nodes; ++i) rngs_.push_back(root.fork(i));
}

std::uint64_t Network::link_hash(NodeIndex from, NodeIndex to) const {
    return mix64(seed_ ^ mix64((std::uint64_t{from} << 32U) | to));
}

void Network::Link::take(const NetworkPart& part) {
    latency = part.latency.value_or(latency);
    jitter = part.jitter.value_or(jitter);
    loss = part.loss.value_or(loss);
    duplicate = part.duplicate.value_or(duplicate);
    mtu = part.mtu.value_or(mtu);
}

void Network::set_parts(const std::vector<NetworkPart>& parts) {
    links_.clear();
    rates_.clear();
    std::vector<NodeIndex> all(uplink_free_.size());
    std::iota(all.begin(), all.end(), NodeIndex{0});
    for (const auto& part : parts) {
        const auto take = [&](NodeIndex from, NodeIndex to) {
            links_.try_emplace({from, to}, link(from, to)).first->second.take(part);
        };
        for (const auto from : part.from) {
            if (part.rate) rates_[from] = *part.rate;
            for (const auto to : part.to.empty() ? all : part.to) {
                take(from, to);
                if (part.to.empty()) take(to, from);
            }
        }
    }
}

Network::Link Network::link(NodeIndex from, NodeIndex to) const {
    if (!links_.empty()) {
        if (const auto own = links_.find({from, to}); own != links_.end()) return own->second;
    }
    return {options_.latency, options_.jitter, options_.loss, options_.duplicate, options_.mtu};
}

double Network::uplink(NodeIndex node) const {
    const auto own = rates_.find(node);
    return own == rates_.end() ? options_.uplink : own->second;
}

double Network::downlink(NodeIndex node) const {
    const auto own = rates_.find(node);
    return own == rates_.end() ? options_.downlink : own->second;
}

bool Network::lost(Instant now, NodeIndex from, NodeIndex to) {
    const double loss = link(from, to).loss;
    if (loss <= 0.0) return false;
    const double factor = link_factor(mix64(link_hash(from, to)));
    const double share = std::min(1.0, loss * factor);
    if (options_.loss_burst <= Duration::zero()) return rngs_[from].chance(share);
    const auto slot = static_cast<std::uint64_t>(now.time_since_epoch() / options_.loss_burst);
    const auto drawn = mix64(link_hash(from, to) ^ mix64(slot));
    return static_cast<double>(drawn >> 11U) * 0x1.0p-53 < share;
}

Duration Network::delay(NodeIndex from, NodeIndex to) {
    const auto own = link(from, to);
    const auto base = scale(own.latency, link_factor(link_hash(from, to)));
    if (own.jitter <= Duration::zero()) return base;
    const double stretch = std::exp(options_.jitter_sigma * rngs_[from].normal());
    return base + scale(own.jitter, stretch);
}

Duration Network::uplink_wait(Instant now, NodeIndex from, std::size_t bytes) {
    const double rate = uplink(from);
    if (rate <= 0.0) return {};
    auto& free = uplink_free_[from];
    free = std::max(free, now) + from_seconds(static_cast<double>(bytes) / rate);
    return free - now;
}

std::optional<Duration> Network::datagram_wait(Instant now, NodeIndex from, std::size_t bytes) {
    const double rate = uplink(from);
    if (rate <= 0.0) return Duration::zero();
    auto& sent = datagrams_sent_[from];
    const auto time = from_seconds(static_cast<double>(bytes) / rate);
    const auto most = from_seconds(options_.uplink_queue / rate);
    if (sent - now > most) return std::nullopt;
    sent = std::max(sent, now) + time;
    const auto streams = std::min<Duration>(uplink_free_[from] - now, most);
    // What a datagram takes, streams do not have.
    uplink_free_[from] = std::max(uplink_free_[from], now) + time;
    return std::max<Duration>(sent - now, std::max(Duration::zero(), streams) + time);
}

Instant Network::received(Instant at, NodeIndex to, std::size_t bytes) {
    const double rate = downlink(to);
    if (rate <= 0.0) return at;
    auto& free = downlink_free_[to];
    free = std::max(free, at) + from_seconds(static_cast<double>(bytes) / rate);
    return free;
}

Duration Network::reliable_delay(Instant now, NodeIndex from, NodeIndex to, Duration first) {
    auto total = delay(from, to);
    for (int tries = 0; tries < kTriesMax && lost(now + total, from, to); ++tries) {
        total += first;
        first *= 2;
    }
    return total;
}

bool Network::connected(NodeIndex from, NodeIndex to) const {
    if (!groups_.empty() && groups_[from] != groups_[to]) return false;
    return cuts_.empty() || !cuts_.contains({from, to});
}

void Network::heal() {
    groups_.clear();
    cuts_.clear();
    blocks_.clear();
    clogs_.clear();
}

Duration Network::clogged(Instant now, NodeIndex from, NodeIndex to) const {
    if (clogs_.empty()) return {};
    const auto clog = clogs_.find({from, to});
    return clog == clogs_.end() ? Duration{} : std::max(Duration{}, clog->second - now);
}

void Network::send_datagram(
    Instant now, NodeIndex from, NodeIndex to, Bytes bytes, std::size_t readable, std::uint64_t mark
) {
    const auto sealed = bytes.size() + readable + membership::kSealOverhead;
    auto& traffic = traffic_[from];
    ++traffic.datagrams;
    traffic.datagram_bytes += sealed;
    const auto wait = datagram_wait(now, from, sealed);
    if (!wait) return;
    now += *wait;
    const auto own = link(from, to);
    if (sealed + kHeaders > own.mtu) return;
    if (!connected(from, to) || blocks_.contains({from, to}) || lost(now, from, to)) return;
    now += clogged(now, from, to);
    Event event{EventKind::Datagram, to, from, mark, 0, std::move(bytes)};
    if (own.duplicate > 0.0 && rngs_[from].chance(own.duplicate)) {
        heap_.push(received(now + delay(from, to), to, sealed), event);
    }
    heap_.push(received(now + delay(from, to), to, sealed), std::move(event));
}

std::uint64_t Network::open_stream(
    Instant now, NodeIndex from, NodeIndex to, StreamPurpose purpose
) {
    STARLING_CHECK(from != to);
    const auto id = next_stream_++;
    auto& stream = streams_[id];
    stream.ends = {from, to};
    stream.purpose = purpose;
    // The handshakes of TCP and TLS 1.3: the acceptor has finished after three flights, the
    // initiator after the fourth.
    const auto first = options_.handshake_retransmit;
    auto flights = reliable_delay(now, from, to, first);
    flights += reliable_delay(now + flights, to, from, first);
    flights += reliable_delay(now + flights, from, to, options_.retransmit);
    heap_.push(now + flights, {EventKind::StreamAccept, to, from, id, 0, {}});
    heap_.push(now + options_.connect_timeout, {EventKind::StreamDeadline, from, to, id, 0, {}});
    return id;
}

void Network::send_message(Instant now, std::uint64_t id, NodeIndex from, Bytes bytes) {
    const auto at = streams_.find(id);
    if (at == streams_.end()) return;
    auto& stream = at->second;
    const std::size_t side = stream.ends[0] == from ? 0 : 1;
    STARLING_CHECK(stream.ends[side] == from);
    if (stream.dead || stream.closed[side]) return;
    traffic_[from].stream_bytes += bytes.size();
    if (options_.stream_reset > 0.0 && rngs_[from].chance(options_.stream_reset)) {
        break_both(now, id, stream);
        return;
    }
    enqueue(now, id, stream, side, {{}, false, std::move(bytes)});
}

void Network::enqueue(
    Instant now, std::uint64_t id, Stream& stream, std::size_t side, Message message
) {
    const auto from = stream.ends[side];
    const auto to = stream.ends[1 - side];
    const auto size = message.bytes.size();
    const auto sent = now + uplink_wait(now, from, size) + clogged(now, from, to);
    const auto due = received(sent + reliable_delay(sent, from, to, options_.retransmit), to, size);
    auto& direction = stream.directions[side];
    direction.last_due = std::max(direction.last_due, due);
    message.due = direction.last_due;
    direction.queue.push_back(std::move(message));
    if (direction.queue.size() == 1) schedule_head(direction.last_due, id, stream, side);
}

void Network::schedule_head(Instant at, std::uint64_t id, const Stream& stream, std::size_t side) {
    const auto to = stream.ends[1 - side];
    heap_.push(at, {EventKind::StreamHead, to, stream.ends[side], id, 0, {}});
}

void Network::schedule_break(Instant at, std::uint64_t id, const Stream& stream, std::size_t side) {
    const auto node = stream.ends[side];
    heap_.push(at, {EventKind::StreamBreak, node, stream.ends[1 - side], id, 0, {}});
}

void Network::break_both(Instant now, std::uint64_t id, Stream& stream) {
    stream.dead = true;
    for (std::size_t side = 0; side < 2; ++side) {
        if (stream.closed[side]) continue;
        const auto after = delay(stream.ends[1 - side], stream.ends[side]);
        schedule_break(now + after, id, stream, side);
    }
}

void Network::reset_streams(Instant now, NodeIndex node) {
    for (auto& [id, stream] : streams_) {
        const bool its = stream.ends[0] == node || stream.ends[1] == node;
        if (its) break_both(now, id, stream);
    }
}

void Network::strand_streams(Instant now, NodeIndex node) {
    for (auto& [id, stream] : streams_) {
        const bool its = stream.ends[0] == node || stream.ends[1] == node;
        if (!its || stream.dead) continue;
        stream.dead = true;
        for (std::size_t side = 0; side < 2; ++side) {
            if (!stream.closed[side])
                schedule_break(now + options_.stream_timeout, id, stream, side);
        }
    }
}

void Network::end_side(Streams::iterator at, std::size_t side) {
    auto& stream = at->second;
    stream.closed[side] = true;
    if (stream.closed[1 - side]) streams_.erase(at);
}

void Network::close_stream(Instant now, std::uint64_t id, NodeIndex by) {
    const auto at = streams_.find(id);
    if (at == streams_.end()) return;
    auto& stream = at->second;
    const std::size_t side = stream.ends[0] == by ? 0 : 1;
    STARLING_CHECK(stream.ends[side] == by);
    if (stream.closed[side]) return;
    if (!stream.accepted) {
        streams_.erase(at);
        return;
    }
    if (!stream.dead && !stream.closed[1 - side]) {
        enqueue(now, id, stream, side, {{}, true, {}});
    }
    end_side(at, side);
}

std::optional<Delivery> Network::process(Instant now, Event event) {
    if (event.kind == EventKind::Datagram) return on_datagram(std::move(event));
    const auto at = streams_.find(event.stream);
    if (at == streams_.end()) return std::nullopt;
    const std::size_t side = at->second.ends[0] == event.node ? 0 : 1;
    switch (event.kind) {
        case EventKind::StreamAccept:
            return on_accept(now, at);
        case EventKind::StreamOpen:
            return on_open(at);
        case EventKind::StreamHead:
            return on_head(now, at, 1 - side);
        case EventKind::StreamBreak:
            return on_break(at, side);
        case EventKind::StreamDeadline:
            return on_deadline(now, at);
        default:
            STARLING_UNREACHABLE("not an event of the network");
    }
}

std::optional<Delivery> Network::on_datagram(Event event) {
    // A datagram that was under way when a cut began is lost.
    if (power_[event.node] != Power::On || !connected(event.peer, event.node)) return std::nullopt;
    return Delivery{
        Delivery::Kind::Datagram, event.node, event.peer, event.stream, {}, std::move(event.bytes)};
}

std::optional<Delivery> Network::on_accept(Instant now, Streams::iterator at) {
    auto& [id, stream] = *at;
    const auto [from, to] = stream.ends;
    if (stream.dead || !connected(from, to) || !connected(to, from)) return std::nullopt;
    if (power_[to] == Power::Dark) return std::nullopt;
    if (power_[to] == Power::Stopped) {
        stream.dead = true;
        stream.refused = true;
        stream.closed[1] = true;
        schedule_break(now + delay(to, from), id, stream, 0);
        return std::nullopt;
    }
    stream.accepted = true;
    heap_.push(now + delay(to, from), {EventKind::StreamOpen, from, to, id, 0, {}});
    return Delivery{Delivery::Kind::Accepted, to, from, id, stream.purpose, {}};
}

std::optional<Delivery> Network::on_open(Streams::iterator at) {
    auto& [id, stream] = *at;
    const auto [from, to] = stream.ends;
    if (stream.dead || stream.closed[0] || !connected(to, from)) return std::nullopt;
    stream.opened = true;
    return Delivery{Delivery::Kind::Opened, from, to, id, stream.purpose, {}};
}

bool Network::stall(Instant now, Streams::iterator at, std::size_t side) {
    auto& [id, stream] = *at;
    auto& direction = stream.directions[side];
    const auto to = stream.ends[1 - side];
    if (connected(stream.ends[side], to) && power_[to] != Power::Dark) {
        direction.stalled_since.reset();
        return false;
    }
    if (!direction.stalled_since) direction.stalled_since = now;
    if (now - *direction.stalled_since >= options_.stream_timeout) {
        break_both(now, id, stream);
    } else {
        schedule_head(now + options_.retransmit, id, stream, side);
    }
    return true;
}

std::optional<Delivery> Network::on_head(Instant now, Streams::iterator at, std::size_t side) {
    auto& [id, stream] = *at;
    auto& queue = stream.directions[side].queue;
    if (stream.dead || queue.empty() || stall(now, at, side)) return std::nullopt;
    const auto from = stream.ends[side];
    const auto to = stream.ends[1 - side];
    if (stream.closed[1 - side]) {
        // The reader is gone, and its kernel answers data with a reset.
        stream.dead = true;
        if (!stream.closed[side]) schedule_break(now + delay(to, from), id, stream, side);
        return std::nullopt;
    }
    auto message = std::move(queue.front());
    queue.pop_front();
    if (!queue.empty()) schedule_head(std::max(now, queue.front().due), id, stream, side);
    if (message.fin) return on_break(at, 1 - side);
    return Delivery{
        Delivery::Kind::Message, to, from, id, stream.purpose, std::move(message.bytes)};
}

std::optional<Delivery> Network::on_break(Streams::iterator at, std::size_t side) {
    auto& [id, stream] = *at;
    if (stream.closed[side]) return std::nullopt;
    Delivery broken{
        Delivery::Kind::Broken, stream.ends[side], stream.ends[1 - side], id, stream.purpose, {}};
    broken.refused = stream.refused;
    end_side(at, side);
    return broken;
}

std::optional<Delivery> Network::on_deadline(Instant now, Streams::iterator at) {
    auto& [id, stream] = *at;
    if (stream.opened || stream.dead || stream.closed[0]) return std::nullopt;
    if (stream.accepted && !std::exchange(stream.greets, true)) {
        const auto [from, to] = stream.ends;
        heap_.push(
            now + options_.greeting_timeout, {EventKind::StreamDeadline, from, to, id, 0, {}}
        );
        return std::nullopt;
    }
    stream.dead = true;
    if (stream.accepted) {
        schedule_break(now + options_.stream_timeout, id, stream, 1);
    } else {
        stream.closed[1] = true;
    }
    return on_break(at, 0);
}

void Network::set_power(Instant now, NodeIndex node, Power power) {
    const bool ends = power_[node] == Power::On && power != Power::On;
    power_[node] = power;
    if (!ends) return;
    for (auto at = streams_.begin(); at != streams_.end();) {
        const auto here = at++;
        auto& [id, stream] = *here;
        if (stream.ends[0] != node && stream.ends[1] != node) continue;
        const std::size_t side = stream.ends[0] == node ? 0 : 1;
        const auto other = stream.ends[1 - side];
        if (stream.closed[side]) continue;
        if (side == 0 && !stream.accepted) {
            streams_.erase(here);
            continue;
        }
        // The kernel of a killed process sends a clean end after the data, or a reset if the
        // process has left data unread: here each with probability 1/2. A machine without power
        // sends nothing.
        if (power == Power::Stopped && !stream.dead && !stream.closed[1 - side]) {
            if (rngs_[node].chance(0.5)) {
                enqueue(now, id, stream, side, {{}, true, {}});
            } else if (connected(node, other)) {
                schedule_break(now + delay(node, other), id, stream, 1 - side);
            }
        }
        end_side(here, side);
    }
}

}  // namespace starling::peer_virtual
