#include "gossip/averager.hpp"

#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "base/queue.hpp"
#include "gossip/machine.hpp"

namespace starling::gossip {
namespace {

/// The fork of the generator that is passed in which draws the first part.
constexpr std::uint64_t kPartPurpose = 0x70617274;

std::unique_ptr<MixingRule> make_rule(Rule rule, Workbench& bench) {
    if (rule == Rule::PushSum) return make_push_sum(bench);
    if (rule == Rule::Noloco) return make_noloco(bench);
    return make_pairwise(bench);
}

}  // namespace

Averager::Machine::Machine(
    const AveragerConfig& config,
    const PeerId& self,
    const LayoutHash& layout,
    ParameterVector& parameters,
    Rng rng
)
    : self_(self),
      layout_(layout),
      rng_(rng),
      bench_(config, parameters),
      mixing_(make_rule(config.mix.rule, bench_)),
      pull_(make_pull(bench_)),
      partners_(config.strikes),
      rounds_(config.sync_wait),
      next_part_(static_cast<std::uint32_t>(rng.fork(kPartPurpose).below(config.parts))) {
    // While settling, and for those who settle while we do not yet.
    if (config.mix.rule == Rule::Noloco) pairwise_ = make_pairwise(bench_);
}

void Averager::Machine::set_encoding(Encoding encoding) {
    STARLING_CHECK(agree(encoding, bench_.config.encoding).has_value());
    bench_.wish = encoding;
}

std::optional<Outgoing> Averager::Machine::poll_transmit() {
    return take_front(bench_.outbox);
}

std::optional<ExchangeEvent> Averager::Machine::poll_event() {
    return take_front(events_);
}

std::optional<Instant> Averager::Machine::poll_timeout() const {
    std::optional<Instant> next = retry_at_;
    const auto also = [&](Instant other) { next = next ? std::min(*next, other) : other; };
    if (initiator_) also(initiator_->clock().next_timeout());
    if (responder_) also(responder_->clock().next_timeout());
    if (const auto at = rounds_.timeout()) also(*at);
    return next;
}

Averager::Averager(
    const AveragerConfig& config,
    const PeerId& self,
    const LayoutHash& layout,
    ParameterVector& parameters,
    Rng rng
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
    machine_->peer_up(peer);
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

void Averager::count_rounds(Instant now, bool wanted) {
    machine_->count_rounds(now, wanted);
}

void Averager::set_ghost(bool ghost) {
    machine_->set_ghost(ghost);
}

void Averager::set_accepting(bool accepting) {
    machine_->set_accepting(accepting);
}

void Averager::set_encoding(Encoding encoding) {
    machine_->set_encoding(encoding);
}

void Averager::set_settling(bool settling) {
    machine_->set_settling(settling);
}

void Averager::set_weight(std::optional<std::int8_t> log2) {
    machine_->set_weight(log2);
}

void Averager::adopt_parameters() {
    machine_->adopt_parameters();
}

std::optional<Outgoing> Averager::poll_transmit() {
    return machine_->poll_transmit();
}

std::optional<ExchangeEvent> Averager::poll_event() {
    return machine_->poll_event();
}

std::optional<Instant> Averager::poll_timeout() const {
    return machine_->poll_timeout();
}

void Averager::recycle(Bytes frame) {
    machine_->recycle(std::move(frame));
}

bool Averager::initiating() const {
    return machine_->initiator().has_value();
}

bool Averager::responding() const {
    return machine_->responder().has_value();
}

bool Averager::in_round() const {
    return machine_->rounds().running();
}

std::uint64_t Averager::round() const {
    return machine_->rounds().number();
}

bool Averager::ghost() const {
    return machine_->ghost();
}

double Averager::weight(std::size_t chunk, std::uint32_t part) const {
    return machine_->mixing().weight(static_cast<std::uint32_t>(chunk), part);
}

bool Averager::returning() const {
    return machine_->mixing().waiting();
}

std::size_t Averager::bytes_held() const {
    const auto& initiator = machine_->initiator();
    const auto& responder = machine_->responder();
    return (initiator ? initiator->bytes_in_flight() : 0) +
           (responder ? responder->bytes_parked() : 0);
}

double Averager::share_left() const {
    return machine_->share_left();
}

double Averager::spread() const {
    return machine_->spread();
}

const AveragerCounters& Averager::counters() const {
    return machine_->counters();
}

}  // namespace starling::gossip
