// What time, partners and commands do to the machine.

#include <utility>

#include "gossip/machine.hpp"

namespace starling::gossip {
namespace {

constexpr std::uint64_t kPartPurpose = 0x70617274;
/// A ghost this much further from a partner than the partner is from others has caught up.
constexpr double kCaughtUp = 2.0;
/// With each exchange the distance halves: after so many, nothing of what was stale is left.
constexpr std::size_t kGhostExchanges = 8;

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
    : bench(config, parameters),
      mixing(make_rule(config.mix.rule, bench)),
      pull(make_pull(bench)),
      partners(config.strikes),
      self_(self),
      layout_(layout),
      rng_(rng),
      next_part_(static_cast<std::uint32_t>(rng.fork(kPartPurpose).below(config.parts))) {
    // While settling, and for those who settle while we do not yet.
    if (config.mix.rule == Rule::Noloco) pairwise = make_pairwise(bench);
}

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
    end_all_with(now, peer, {Outcome::Disconnected}, Stream::Gone);
    std::erase_if(bench.outbox, [&](const Outgoing& outgoing) { return outgoing.to == peer; });
}

void Averager::Machine::handle_loss(Instant now, const PeerId& peer, Passage passage) {
    const bool ours = passage == Passage::Offer && initiator && initiator->clock().partner == peer;
    const bool theirs =
        passage == Passage::Reply && responder && responder->clock().partner == peer;
    if (ours) settle_initiator(now, {Outcome::Disconnected}, Stream::Alive);
    if (theirs) settle_responder(now, {Outcome::Disconnected}, Stream::Alive);
}

void Averager::Machine::peer_down(Instant now, const PeerId& peer) {
    // The stream may live on when membership was wrong: then the Abort spares the partner a wait.
    end_all_with(now, peer, {Outcome::Disconnected}, Stream::Alive);
    partners.remove(peer);
    if (expected && expected->partner == peer) fall_back(now);
}

bool Averager::Machine::begin_exchange(Instant now, std::span<const PeerId> except) {
    if (initiator || bench.chunk_count() == 0) return false;
    except_.assign(except.begin(), except.end());
    if (responder) except_.push_back(responder->clock().partner);
    if (bench.config.mix.rule == Rule::None) return false;
    if (!ghost && !mixing->ready({next_part_, bench.config.parts})) return false;
    const auto partner = partners.choose(now, rng_, except_);
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
    const bool settles = bench.settling && pairwise != nullptr;
    if (settles) request.rule = Rule::Pairwise;
    if (ghost) request.rule = Rule::Pull;
    // A weight belongs to one part; all other rules settle, and catch up, as a whole.
    const bool whole = ghost || (bench.settling && bench.config.mix.rule != Rule::PushSum);
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
    if (bench.settling && !wanted) mixing->adopt();
    bench.settling = wanted;
}

void Averager::Machine::note_pull(const ExchangeEvent& event) {
    if (event.outcome != Outcome::Committed || !ghost) return;
    const bool near = event.relative_distance <= kCaughtUp * initiator->their_spread();
    if (near || ++ghost_exchanges_ >= kGhostExchanges) set_ghost(false);
}

}  // namespace starling::gossip
