#include "gossip/averager.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "base/check.hpp"
#include "gossip/codec.hpp"
#include "gossip/exchange.hpp"
#include "gossip/mixing/rule.hpp"
#include "gossip/partner_choice.hpp"
#include "gossip/workbench.hpp"

namespace starling::gossip {

std::string_view to_string(Outcome outcome) {
    switch (outcome) {
        case Outcome::Committed:
            return "committed";
        case Outcome::Busy:
            return "busy";
        case Outcome::Collapsed:
            return "collapsed";
        case Outcome::Refused:
            return "refused";
        case Outcome::TimedOut:
            return "timed out";
        case Outcome::Disconnected:
            return "disconnected";
        case Outcome::Violated:
            return "violated";
    }
    return "unknown";
}

namespace {

constexpr std::uint64_t kPartPurpose = 0x70617274;
constexpr double kSpreadDecay = 0.25;
/// A ghost this much further from a partner than the partner is from others has caught up.
constexpr double kCaughtUp = 2.0;
/// With each exchange the distance halves: after so many, nothing of what was stale is left.
constexpr std::size_t kGhostExchanges = 8;

std::unique_ptr<MixingRule> make_rule(Rule rule, Workbench& bench) {
    if (rule == Rule::PushSum) return make_push_sum(bench);
    if (rule == Rule::Noloco) return make_noloco(bench);
    return make_pairwise(bench);
}

/// The exchanges that we answered last, so that a repeated Open does not open them again. Streams
/// are ordered and authenticated, so the memory needs no more than a moment's depth.
class RecentIds {
public:
    void add(ExchangeId id) {
        ids_[next_] = id;
        next_ = (next_ + 1) % ids_.size();
    }

    [[nodiscard]] bool contains(ExchangeId id) const {
        return std::find(ids_.begin(), ids_.end(), id) != ids_.end();
    }

private:
    std::array<ExchangeId, 64> ids_{};
    std::size_t next_ = 0;
};

bool is_failure(Outcome outcome) {
    return outcome == Outcome::TimedOut || outcome == Outcome::Disconnected ||
           outcome == Outcome::Violated;
}

Outcome outcome_of(AbortReason reason) {
    switch (reason) {
        case AbortReason::TimedOut:
            return Outcome::TimedOut;
        case AbortReason::Violated:
            return Outcome::Violated;
        case AbortReason::Gone:
            return Outcome::Disconnected;
    }
    return Outcome::Violated;
}

AbortReason reason_of(Outcome outcome) {
    if (outcome == Outcome::TimedOut) return AbortReason::TimedOut;
    return outcome == Outcome::Violated ? AbortReason::Violated : AbortReason::Gone;
}

}  // namespace

class Averager::Machine {
public:
    Machine(
        const AveragerConfig& config,
        const PeerId& self,
        const LayoutHash& layout,
        ParameterVector& parameters,
        Rng rng
    )
        : bench(config, parameters),
          mixing(make_rule(config.mix.rule, bench)),
          pull(make_pull(bench)),
          self_(self),
          layout_(layout),
          rng_(rng),
          next_part_(static_cast<std::uint32_t>(rng.fork(kPartPurpose).below(config.parts))) {
        // While settling, and for those who settle while we do not yet.
        if (config.mix.rule == Rule::Noloco) pairwise = make_pairwise(bench);
    }

    Result<void> handle_frame(Instant now, const PeerId& from, ByteView frame);
    void handle_timeout(Instant now);
    void handle_disconnect(Instant now, const PeerId& peer);
    void peer_down(Instant now, const PeerId& peer);
    bool begin_exchange(Instant now);
    bool begin_round(Instant now, std::uint64_t round);
    void set_ghost(bool wanted);
    void set_settling(bool wanted);
    [[nodiscard]] std::optional<Instant> next_timeout() const;

    Workbench bench;
    std::unique_ptr<MixingRule> mixing;    ///< the swarm's
    std::unique_ptr<MixingRule> pairwise;  ///< beside noloco
    std::unique_ptr<MixingRule> pull;
    PartnerChoice partners;
    std::deque<ExchangeEvent> events;
    std::optional<Initiator> initiator;
    std::optional<Responder> responder;
    bool accepting = true;
    bool ghost = false;

    /// The partner of this round, who is to ask us, and until when we wait.
    struct Expected {
        PeerId partner;
        Instant until;
    };

    std::optional<Expected> expected;

private:
    /// Whether we still may talk to the partner when an exchange ends.
    enum class Stream : std::uint8_t { Alive, Gone };

    void on(Instant now, const PeerId& from, const Open& open);
    void on(Instant now, const PeerId& from, const Accept& accept);
    void on(Instant now, const PeerId& from, const Busy& busy);
    void on(Instant now, const PeerId& from, const Refuse& refuse);
    void on(Instant now, const PeerId& from, const Chunk& chunk);
    void on(Instant now, const PeerId& from, const ChunkReply& reply);
    void on(Instant now, const PeerId& from, const Commit& commit);
    void on(Instant now, const PeerId& from, const Abort& abort);
    void on(Instant now, const PeerId& from, const Unknown& unknown);

    [[nodiscard]] std::optional<RefuseReason> misfit(const Open& open) const;
    [[nodiscard]] bool knows(const Open& open) const;
    [[nodiscard]] MixingRule& rule_of(Rule rule);
    void open_with(Instant now, const PeerId& partner);
    void fall_back(Instant now);
    void note_pull(const ExchangeEvent& event);
    [[nodiscard]] bool initiating(const PeerId& partner, ExchangeId id) const;
    [[nodiscard]] bool responding(const PeerId& partner, ExchangeId id) const;

    /// Ends what is in flight with a partner.
    void end_all_with(Instant now, const PeerId& peer, Outcome outcome, Stream stream);
    void settle_initiator(Instant now, Outcome outcome, Stream stream);
    void settle_responder(Instant now, Outcome outcome, Stream stream);
    void note_partner(Instant now, const PeerId& partner, Outcome outcome);
    void count(const ExchangeEvent& event);
    void measure(Instant now, const ExchangeClock& clock, const Tally& tally, Outcome outcome);

    PeerId self_;
    LayoutHash layout_;
    Rng rng_;
    RecentIds recent_;
    std::uint32_t next_part_;
    std::size_t ghost_exchanges_ = 0;
    bool settling_ = false;
    bool scheduled_ = false;           ///< what we initiate is this round's, so a miss falls back
    std::optional<Instant> retry_at_;  ///< when withdrawn chunks are tried again
};

// Frames.

Result<void> Averager::Machine::handle_frame(Instant now, const PeerId& from, ByteView frame) {
    const auto message = decode(frame);
    if (!message) {
        ++bench.counters.malformed;
        end_all_with(now, from, Outcome::Violated, Stream::Alive);
        return message.error();
    }
    std::visit([&](const auto& m) { on(now, from, m); }, *message);
    return {};
}

void Averager::Machine::on(Instant now, const PeerId& from, const Open& open) {
    if (from == self_ || recent_.contains(open.id)) {
        ++bench.counters.stale;
        return;
    }
    if (const auto reason = misfit(open)) {
        bench.send(from, encode(Refuse{open.id, *reason}));
        return;
    }
    // To be pulled from changes nothing here, so it crosses with nothing.
    const bool pulls = open.rule == Rule::Pull;
    // Requests of a pair that cross collapse into that of the lower id, whichever arrives first.
    // The lower id says so; the higher one withdraws. Without this rule two peers in lockstep
    // decline each other, or swap their models, for ever.
    const bool with_them = !pulls && initiator && initiator->clock().partner == from &&
                           initiator->rule() != Rule::Pull;
    if (with_them && (!initiator->opening() || self_ < from)) {
        bench.send(from, encode(Busy{open.id, initiator->opening()}));
        return;
    }
    if (responder || !accepting || (ghost && !pulls)) {
        bench.send(from, encode(Busy{open.id, false}));
        return;
    }
    if (with_them) settle_initiator(now, Outcome::Collapsed, Stream::Alive);
    if (expected && expected->partner == from && !pulls) expected.reset();
    recent_.add(open.id);
    responder.emplace(bench, rule_of(open.rule), open, from, now);
}

MixingRule& Averager::Machine::rule_of(Rule rule) {
    if (rule == Rule::Pull) return *pull;
    if (rule == Rule::Pairwise && pairwise) return *pairwise;
    return *mixing;
}

/// Whether our rules can serve a request.
bool Averager::Machine::knows(const Open& open) const {
    const Rule own = bench.config.mix.rule;
    const std::uint32_t parts = bench.config.parts;
    if (open.part >= open.parts || (open.parts != 1 && open.parts != parts)) return false;
    if (open.rule == Rule::Pull) return true;
    // A weight belongs to one part of one cut.
    if (own == Rule::PushSum) return open.rule == own && open.parts == parts;
    return open.rule == own || (open.rule == Rule::Pairwise && pairwise != nullptr);
}

std::optional<RefuseReason> Averager::Machine::misfit(const Open& open) const {
    if (open.layout != layout_ || open.chunk_count != bench.chunk_count()) {
        return RefuseReason::Layout;
    }
    if (!knows(open)) return RefuseReason::Rule;
    if (!agree(open.encoding, bench.wish)) return RefuseReason::Encoding;
    const double own = bench.config.coefficient;
    // Negated, so that a NaN is refused too.
    if (!(open.coefficient > 0.0 && open.coefficient <= own)) return RefuseReason::Coefficient;
    if (open.encoding == Encoding::Exact64 && open.coefficient != own) {
        return RefuseReason::Coefficient;
    }
    return std::nullopt;
}

void Averager::Machine::on(Instant now, const PeerId& from, const Accept& accept) {
    if (!initiating(from, accept.id)) {
        // We gave that request up; without a word the partner would wait for its deadline.
        ++bench.counters.stale;
        bench.send(from, encode(Abort{accept.id, AbortReason::Gone, 0}));
        return;
    }
    if (!initiator->opening()) {
        ++bench.counters.stale;
        return;
    }
    if (const auto end = initiator->on_accept(now, accept))
        settle_initiator(now, *end, Stream::Alive);
}

void Averager::Machine::on(Instant now, const PeerId& from, const Busy& busy) {
    if (!initiating(from, busy.id) || !initiator->opening()) {
        ++bench.counters.stale;
        return;
    }
    settle_initiator(now, busy.collapsed ? Outcome::Collapsed : Outcome::Busy, Stream::Alive);
}

void Averager::Machine::on(Instant now, const PeerId& from, const Refuse& refuse) {
    if (!initiating(from, refuse.id) || !initiator->opening()) {
        ++bench.counters.stale;
        return;
    }
    settle_initiator(now, Outcome::Refused, Stream::Alive);
}

void Averager::Machine::on(Instant now, const PeerId& from, const Chunk& chunk) {
    if (!responding(from, chunk.id)) {
        ++bench.counters.stale;
        return;
    }
    const auto end = responder->on_chunk(now, chunk);
    if (end) settle_responder(now, *end, Stream::Alive);
}

void Averager::Machine::on(Instant now, const PeerId& from, const ChunkReply& reply) {
    if (!initiating(from, reply.id)) {
        ++bench.counters.stale;
        return;
    }
    const auto end = initiator->on_reply(now, reply);
    if (end) settle_initiator(now, *end, Stream::Alive);
}

void Averager::Machine::on(Instant now, const PeerId& from, const Commit& commit) {
    if (!responding(from, commit.id)) {
        ++bench.counters.stale;
        return;
    }
    const auto end = responder->on_commit();
    if (end) settle_responder(now, *end, Stream::Alive);
}

void Averager::Machine::on(Instant now, const PeerId& from, const Abort& abort) {
    if (initiating(from, abort.id)) {
        settle_initiator(now, outcome_of(abort.reason), Stream::Gone);
    } else if (responding(from, abort.id)) {
        responder->on_abort(abort);
        settle_responder(now, outcome_of(abort.reason), Stream::Gone);
    } else {
        ++bench.counters.stale;
    }
}

void Averager::Machine::on(Instant /*now*/, const PeerId& /*from*/, const Unknown& /*unknown*/) {
    ++bench.counters.stale;
}

bool Averager::Machine::initiating(const PeerId& partner, ExchangeId id) const {
    return initiator && initiator->clock().partner == partner && initiator->clock().id == id;
}

bool Averager::Machine::responding(const PeerId& partner, ExchangeId id) const {
    return responder && responder->clock().partner == partner && responder->clock().id == id;
}

// Time, partners, commands.

void Averager::Machine::handle_timeout(Instant now) {
    if (retry_at_ && now >= *retry_at_) {
        mixing->retry();
        retry_at_.reset();
        if (mixing->waiting()) retry_at_ = now + bench.config.retry_locked;
    }
    if (expected && now >= expected->until) fall_back(now);
    if (initiator) {
        const auto end = initiator->on_timeout(now);
        if (end) settle_initiator(now, *end, Stream::Alive);
    }
    if (responder) {
        const auto end = responder->on_timeout(now);
        if (end) settle_responder(now, *end, Stream::Alive);
    }
}

std::optional<Instant> Averager::Machine::next_timeout() const {
    std::optional<Instant> next = retry_at_;
    const auto also = [&](Instant other) { next = next ? std::min(*next, other) : other; };
    if (initiator) also(initiator->clock().next_timeout());
    if (responder) also(responder->clock().next_timeout());
    if (expected) also(expected->until);
    return next;
}

void Averager::Machine::handle_disconnect(Instant now, const PeerId& peer) {
    end_all_with(now, peer, Outcome::Disconnected, Stream::Gone);
    std::erase_if(bench.outbox, [&](const Outgoing& outgoing) { return outgoing.to == peer; });
}

void Averager::Machine::peer_down(Instant now, const PeerId& peer) {
    // The stream may live on when membership was wrong: then the Abort spares the partner a wait.
    end_all_with(now, peer, Outcome::Disconnected, Stream::Alive);
    partners.remove(peer);
    if (expected && expected->partner == peer) fall_back(now);
}

bool Averager::Machine::begin_exchange(Instant now) {
    if (initiator || bench.chunk_count() == 0) return false;
    std::optional<PeerId> serving;
    if (responder) serving = responder->clock().partner;
    if (bench.config.mix.rule == Rule::None) return false;
    if (!ghost && !mixing->ready({next_part_, bench.config.parts})) return false;
    const auto partner = partners.choose(now, rng_, serving);
    if (!partner) return false;
    scheduled_ = false;
    open_with(now, *partner);
    return true;
}

bool Averager::Machine::begin_round(Instant now, std::uint64_t round) {
    expected.reset();
    if (bench.config.mix.rule == Rule::None) return false;
    const auto partner = partners.scheduled(self_, bench.config.sync_seed, round);
    const bool can = partner && !ghost && mixing->ready({next_part_, bench.config.parts});
    if (!can) return begin_exchange(now);
    if (*partner < self_) {
        // They may have asked already: the first of two clocks that agree is always early.
        if (!responder || responder->clock().partner != *partner) {
            expected = Expected{*partner, now + bench.config.sync_wait};
        }
        return true;
    }
    if (initiator || (responder && responder->clock().partner == *partner)) return false;
    scheduled_ = true;
    open_with(now, *partner);
    return true;
}

void Averager::Machine::fall_back(Instant now) {
    expected.reset();
    ++bench.counters.fallbacks;
    (void)begin_exchange(now);
}

void Averager::Machine::open_with(Instant now, const PeerId& partner) {
    ++bench.counters.started;
    Initiator::Request request;
    request.id = ExchangeId{rng_.next()};
    request.partner = partner;
    request.layout = layout_;
    request.rule = bench.config.mix.rule;
    const bool settles = settling_ && pairwise != nullptr;
    if (settles) request.rule = Rule::Pairwise;
    if (ghost) request.rule = Rule::Pull;
    // A weight belongs to one part; all other rules settle, and catch up, as a whole.
    const bool whole = ghost || (settling_ && bench.config.mix.rule != Rule::PushSum);
    if (!whole && bench.config.parts > 1) {
        request.part = {next_part_, bench.config.parts};
        next_part_ = (next_part_ + 1) % bench.config.parts;
    }
    initiator.emplace(bench, rule_of(request.rule), request, now);
}

void Averager::Machine::set_ghost(bool wanted) {
    if (ghost == wanted) return;
    ghost = wanted;
    ghost_exchanges_ = 0;
    if (ghost) return;
    ++bench.counters.promotions;
    mixing->adopt();
}

void Averager::Machine::set_settling(bool wanted) {
    // What settling has moved is no progress that an outer step should follow.
    if (settling_ && !wanted) mixing->adopt();
    settling_ = wanted;
}

void Averager::Machine::note_pull(const ExchangeEvent& event) {
    if (event.outcome != Outcome::Committed || !ghost) return;
    const bool near = event.relative_distance <= kCaughtUp * initiator->their_spread();
    if (near || ++ghost_exchanges_ >= kGhostExchanges) set_ghost(false);
}

// Endings.

void Averager::Machine::end_all_with(
    Instant now, const PeerId& peer, Outcome outcome, Stream stream
) {
    if (initiator && initiator->clock().partner == peer) settle_initiator(now, outcome, stream);
    if (responder && responder->clock().partner == peer) settle_responder(now, outcome, stream);
}

void Averager::Machine::settle_initiator(Instant now, Outcome outcome, Stream stream) {
    const auto& clock = initiator->clock();
    const auto& tally = initiator->tally();
    ExchangeEvent event;
    event.id = clock.id;
    event.partner = clock.partner;
    event.initiator = true;
    event.rule = initiator->rule();
    event.outcome = outcome;
    event.chunks_applied = tally.chunks_applied;
    event.relative_distance = tally.relative_distance();
    event.bytes = tally.payload_bytes;
    event.duration = now - clock.started;
    if (is_failure(outcome) && stream == Stream::Alive) {
        const Abort abort{clock.id, reason_of(outcome), initiator->acked()};
        bench.send(clock.partner, encode(abort));
    }
    if (!initiator->opening()) measure(now, clock, tally, outcome);
    note_partner(now, clock.partner, outcome);
    count(event);
    events.push_back(event);
    initiator->withdraw();
    if (mixing->waiting() && !retry_at_) retry_at_ = now + bench.config.retry_locked;
    if (event.rule == Rule::Pull) note_pull(event);
    const bool missed =
        scheduled_ && outcome != Outcome::Committed && outcome != Outcome::Collapsed;
    scheduled_ = false;
    initiator.reset();
    if (missed) fall_back(now);
}

void Averager::Machine::settle_responder(Instant now, Outcome outcome, Stream stream) {
    const auto& clock = responder->clock();
    const auto& tally = responder->tally();
    ExchangeEvent event;
    event.id = clock.id;
    event.partner = clock.partner;
    event.initiator = false;
    event.rule = responder->rule();
    event.outcome = outcome;
    event.chunks_applied = tally.chunks_applied;
    event.chunks_half_applied = responder->half_applied();
    event.relative_distance = tally.relative_distance();
    event.bytes = tally.payload_bytes;
    event.duration = now - clock.started;
    if (is_failure(outcome) && stream == Stream::Alive) {
        bench.send(clock.partner, encode(Abort{clock.id, reason_of(outcome), 0}));
    }
    // Whoever was pulled from has measured nothing of its own.
    if (event.rule != Rule::Pull) measure(now, clock, tally, outcome);
    note_partner(now, clock.partner, outcome);
    count(event);
    events.push_back(event);
    responder.reset();
}

void Averager::Machine::note_partner(Instant now, const PeerId& partner, Outcome outcome) {
    switch (outcome) {
        case Outcome::Committed:
            return partners.succeeded(partner);
        case Outcome::Busy:
            return partners.was_busy(now, partner);
        case Outcome::Collapsed:
            return;
        case Outcome::Refused:
            return partners.refused(now, partner);
        case Outcome::TimedOut:
        case Outcome::Disconnected:
        case Outcome::Violated:
            return partners.failed(now, partner);
    }
}

void Averager::Machine::count(const ExchangeEvent& event) {
    auto& counters = bench.counters;
    counters.half_applied_chunks += event.chunks_half_applied;
    switch (event.outcome) {
        case Outcome::Committed:
            ++counters.committed;
            return;
        case Outcome::Busy:
            ++counters.busy;
            return;
        case Outcome::Collapsed:
            ++counters.collapsed;
            return;
        case Outcome::Refused:
            ++counters.refused;
            return;
        case Outcome::TimedOut:
        case Outcome::Disconnected:
        case Outcome::Violated:
            ++counters.aborted;
            return;
    }
}

void Averager::Machine::measure(
    Instant now, const ExchangeClock& clock, const Tally& tally, Outcome outcome
) {
    auto& pace = bench.paces.of(clock.partner);
    if (outcome == Outcome::TimedOut) pace.timed_out();
    if (outcome != Outcome::Committed) return;
    pace.committed(tally.payload_bytes, now - clock.traded_since);
    bench.paces.measured(pace.rate());
    const double distance = tally.relative_distance();
    // Squares of huge but finite floats may overflow; one such exchange must not spoil the mean.
    if (std::isfinite(distance)) bench.spread += kSpreadDecay * (distance - bench.spread);
}

// The front door.

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

void Averager::peer_up(Instant /*now*/, const PeerId& peer) {
    machine_->partners.add(peer);
}

void Averager::peer_down(Instant now, const PeerId& peer) {
    machine_->peer_down(now, peer);
}

bool Averager::begin_exchange(Instant now) {
    return machine_->begin_exchange(now);
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
