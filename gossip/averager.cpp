#include "gossip/averager.hpp"

#include <utility>

#include "base/check.hpp"
#include "gossip/machine.hpp"

namespace starling::gossip {

Averager::Averager(
    const AveragerConfig& config,
    const PeerId& self,
    const LayoutHash& layout,
    ParameterVector& parameters,
    Rng rng,
    Instant /*now*/
)
    : machine_(std::make_unique<Machine>(config, self, layout, parameters, rng)) {}

Averager::~Averager() = default;
Averager::Averager(Averager&&) noexcept = default;
Averager& Averager::operator=(Averager&&) noexcept = default;

Result<void> Averager::handle_frame(Instant now, const PeerId& from, ByteView frame) {
    return machine_->handle_frame(now, from, frame);
}

void Averager::handle_timeout(Instant now) {
    machine_->handle_timeout(now);
}

void Averager::handle_disconnect(Instant now, const PeerId& peer) {
    machine_->handle_disconnect(now, peer);
}

void Averager::handle_loss(Instant now, const PeerId& peer, Passage passage) {
    machine_->handle_loss(now, peer, passage);
}

void Averager::peer_up(Instant /*now*/, const PeerId& peer) {
    machine_->partners.add(peer);
}

void Averager::peer_down(Instant now, const PeerId& peer) {
    machine_->peer_down(now, peer);
}

bool Averager::begin_exchange(Instant now, std::span<const PeerId> except) {
    return machine_->begin_exchange(now, except);
}

bool Averager::begin_round(Instant now, std::uint64_t round) {
    return machine_->begin_round(now, round);
}

void Averager::set_ghost(bool ghost) {
    machine_->set_ghost(ghost);
}

void Averager::set_settling(bool settling) {
    machine_->set_settling(settling);
}

void Averager::adopt_parameters() {
    machine_->mixing->adopt();
}

void Averager::set_accepting(bool accepting) {
    machine_->accepting = accepting;
}

void Averager::set_encoding(Encoding encoding) {
    STARLING_CHECK(agree(encoding, machine_->bench.config.encoding).has_value());
    machine_->bench.wish = encoding;
}

std::optional<Outgoing> Averager::poll_transmit() {
    auto& outbox = machine_->bench.outbox;
    if (outbox.empty()) return std::nullopt;
    Outgoing next = std::move(outbox.front());
    outbox.pop_front();
    return next;
}

std::optional<ExchangeEvent> Averager::poll_event() {
    auto& events = machine_->events;
    if (events.empty()) return std::nullopt;
    const ExchangeEvent next = events.front();
    events.pop_front();
    return next;
}

std::optional<Instant> Averager::poll_timeout() const {
    return machine_->next_timeout();
}

void Averager::recycle(Bytes frame) {
    machine_->bench.pool.give(std::move(frame));
}

bool Averager::initiating() const {
    return machine_->initiator.has_value();
}

bool Averager::responding() const {
    return machine_->responder.has_value();
}

std::size_t Averager::bytes_held() const {
    const auto& machine = *machine_;
    return (machine.initiator ? machine.initiator->bytes_in_flight() : 0) +
           (machine.responder ? machine.responder->bytes_parked() : 0);
}

bool Averager::expecting() const {
    return machine_->expected.has_value();
}

bool Averager::ghost() const {
    return machine_->ghost;
}

double Averager::weight(std::size_t chunk, std::uint32_t part) const {
    return machine_->mixing->weight(static_cast<std::uint32_t>(chunk), part);
}

bool Averager::returning() const {
    return machine_->mixing->waiting();
}

std::size_t Averager::partner_count() const {
    return machine_->partners.size();
}

double Averager::spread() const {
    return machine_->bench.spread;
}

const AveragerCounters& Averager::counters() const {
    return machine_->bench.counters;
}

}  // namespace starling::gossip
