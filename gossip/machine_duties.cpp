// What time, partners and commands do to the machine.

#include "gossip/machine.hpp"

namespace starling::gossip {
namespace {

/// A ghost has caught up when it is at most so many times as far from a partner as the partner is
/// from others.
constexpr double kCaughtUp = 2.0;
/// Each exchange halves the distance: after so many, next to nothing of what was stale is left.
constexpr std::size_t kGhostExchanges = 8;

}  // namespace

void Averager::Machine::handle_timeout(Instant now) {
    if (retry_at_ && now >= *retry_at_) {
        mixing_->retry();
        retry_at_.reset();
        if (mixing_->waiting()) retry_at_ = now + bench_.config.retry_locked;
    }
    if (expected_ && now >= expected_->until) fall_back(now);
    if (initiator_) {
        const auto end = initiator_->on_timeout(now);
        if (end) conclude_initiator(now, *end, Stream::Alive);
    }
    if (responder_) {
        const auto end = responder_->on_timeout(now);
        if (end) conclude_responder(now, *end, Stream::Alive);
    }
}

void Averager::Machine::handle_disconnect(Instant now, const PeerId& peer) {
    end_all_with(now, peer, {Outcome::Disconnected}, Stream::Gone);
    std::erase_if(bench_.outbox, [&](const Outgoing& outgoing) { return outgoing.to == peer; });
}

void Averager::Machine::handle_loss(Instant now, const PeerId& peer, Passage passage) {
    const bool ours =
        passage == Passage::Offer && initiator_ && initiator_->clock().partner == peer;
    const bool theirs =
        passage == Passage::Reply && responder_ && responder_->clock().partner == peer;
    if (ours) conclude_initiator(now, {Outcome::Disconnected}, Stream::Alive);
    if (theirs) conclude_responder(now, {Outcome::Disconnected}, Stream::Alive);
}

void Averager::Machine::peer_down(Instant now, const PeerId& peer) {
    // The stream may live on when membership was wrong: then the Abort spares the partner a wait.
    end_all_with(now, peer, {Outcome::Disconnected}, Stream::Alive);
    partners_.remove(peer);
    if (expected_ && expected_->partner == peer) fall_back(now);
}

bool Averager::Machine::begin_exchange(Instant now, std::span<const PeerId> except) {
    if (initiator_ || bench_.chunk_count() == 0) return false;
    except_.assign(except.begin(), except.end());
    if (responder_) except_.push_back(responder_->clock().partner);
    if (bench_.config.mix.rule == Rule::None) return false;
    if (!ghost_ && !mixing_->ready({next_part_, bench_.config.parts})) return false;
    const auto partner = partners_.choose(now, rng_, except_);
    if (!partner) return false;
    scheduled_ = false;
    open_with(now, *partner);
    return true;
}

bool Averager::Machine::begin_round(Instant now, std::uint64_t round) {
    expected_.reset();
    if (bench_.config.mix.rule == Rule::None) return false;
    const auto partner = partners_.scheduled(self_, bench_.config.sync_seed, round);
    const bool can = partner && !ghost_ && mixing_->ready({next_part_, bench_.config.parts});
    if (!can) return begin_exchange(now);
    if (*partner < self_) {
        // They may have asked already: the first of two clocks that agree is always early.
        if (!responder_ || responder_->clock().partner != *partner) {
            expected_ = Expected{*partner, now + bench_.config.sync_wait};
        }
        return true;
    }
    if (initiator_ || (responder_ && responder_->clock().partner == *partner)) return false;
    scheduled_ = true;
    open_with(now, *partner);
    return true;
}

void Averager::Machine::fall_back(Instant now) {
    expected_.reset();
    ++bench_.counters.fallbacks;
    (void)begin_exchange(now);
}

void Averager::Machine::open_with(Instant now, const PeerId& partner) {
    ++bench_.counters.started;
    Initiator::Request request;
    request.id = ExchangeId{rng_.next()};
    request.partner = partner;
    request.layout = layout_;
    request.rule = bench_.config.mix.rule;
    const bool settles = bench_.settling && pairwise_ != nullptr;
    if (settles) request.rule = Rule::Pairwise;
    if (ghost_) request.rule = Rule::Pull;
    // A weight belongs to one part; all other rules settle, and catch up, as a whole.
    const bool whole = ghost_ || (bench_.settling && bench_.config.mix.rule != Rule::PushSum);
    if (!whole && bench_.config.parts > 1) {
        request.part = {next_part_, bench_.config.parts};
        next_part_ = (next_part_ + 1) % bench_.config.parts;
    }
    initiator_.emplace(bench_, rule_of(request.rule), request, now);
}

void Averager::Machine::set_ghost(bool wanted) {
    if (ghost_ == wanted) return;
    ghost_ = wanted;
    ghost_exchanges_ = 0;
    if (ghost_) return;
    ++bench_.counters.promotions;
    mixing_->adopt();
}

void Averager::Machine::set_settling(bool wanted) {
    // What settling has moved is no progress that an outer step should follow.
    if (bench_.settling && !wanted) mixing_->adopt();
    bench_.settling = wanted;
}

void Averager::Machine::note_pull(const ExchangeEvent& event) {
    if (event.outcome != Outcome::Committed || !ghost_) return;
    const bool near = event.relative_distance <= kCaughtUp * initiator_->their_spread();
    if (near || ++ghost_exchanges_ >= kGhostExchanges) set_ghost(false);
}

}  // namespace starling::gossip
