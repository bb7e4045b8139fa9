// What time, partners and commands do to the machine.

#include "base/planted_fault.hpp"
#include "gossip/codec.hpp"
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
    while (const auto overdue = rounds_.take_overdue(now)) decline(overdue->from, overdue->open);
    if (rounds_.overdue(now)) fall_back(now);
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
    rounds_.forget(peer);
    end_all_with(now, peer, {Outcome::Disconnected}, Stream::Gone);
    if (rounds_.waits_for(peer)) fall_back(now);
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
    // The stream may live on when membership was wrong, or when we only want no exchange with this
    // peer: then Busy and Abort spare it a wait.
    if (const auto parked = rounds_.take(peer)) decline(peer, parked->open);
    partners_.remove(peer);
    end_all_with(now, peer, {Outcome::Disconnected}, Stream::Alive);
    if (rounds_.waits_for(peer)) fall_back(now);
}

bool Averager::Machine::begin_exchange(Instant now, std::span<const PeerId> except) {
    if (initiator_ || bench_.chunk_count() == 0 || share_left() < kShareMin) return false;
    if (bench_.counters.aborted > 0 && planted(PlantedFault::StuckAfterAbort)) return false;
    except_.assign(except.begin(), except.end());
    if (responder_) except_.push_back(responder_->clock().partner);
    if (bench_.config.mix.rule == Rule::None) return false;
    if (!ghost_ && !mixing_->ready({next_part_, bench_.config.parts})) return false;
    const auto partner = partners_.choose(now, rng_, except_);
    if (!partner) return false;
    open_with(now, *partner, false);
    return true;
}

bool Averager::Machine::begin_round(Instant now, std::uint64_t round) {
    if (bench_.config.mix.rule == Rule::None) return false;
    rounds_.count(true);
    rounds_.end();
    // Peers in step are never so far apart as there are peers: we were away.
    const auto furthest = rounds_.furthest();
    if (rounds_.begin(round) + partners_.size() < furthest) rounds_.catch_up(furthest);
    const auto number = rounds_.number();
    const auto partner = partners_.scheduled(self_, bench_.config.sync_seed, number);
    const bool ready = ghost_ || mixing_->ready({next_part_, bench_.config.parts});
    if (partner && ready) {
        // The partner may have asked already. Then we answer instead of asking.
        rounds_.enter(now, RoundStage::Expecting, *partner);
        serve_parked(now);
        if (rounds_.stage() == RoundStage::Expecting) ask_in_round(now, *partner);
    } else {
        serve_parked(now);
        if (begin_exchange(now)) rounds_.enter(now, RoundStage::Elsewhere, self_);
    }
    return rounds_.running();
}

void Averager::Machine::count_rounds(Instant now, bool wanted) {
    rounds_.count(wanted);
    if (wanted) return;
    rounds_.end();
    serve_parked(now);
}

void Averager::Machine::set_accepting(bool wanted) {
    accepting_ = wanted;
    if (!accepting_) decline_parked();
}

void Averager::Machine::ask_in_round(Instant now, const PeerId& partner) {
    rounds_.enter(now, initiator_ ? RoundStage::Queued : RoundStage::Asking, partner);
    if (!initiator_) open_with(now, partner, true);
}

void Averager::Machine::fall_back(Instant now) {
    ++bench_.counters.fallbacks;
    rounds_.end();
    if (begin_exchange(now)) rounds_.enter(now, RoundStage::Elsewhere, self_);
}

void Averager::Machine::serve_parked(Instant now) {
    while (!responder_ && accepting_ && !ghost_) {
        const auto next = rounds_.take_due();
        if (!next) return;
        if (rounds_.behind(next->open)) {
            bench_.send(
                next->from, encode(Refuse{next->open.id, RefuseReason::Round, rounds_.number()})
            );
        } else {
            serve(now, next->from, next->open);
        }
    }
}

void Averager::Machine::decline_parked() {
    for (const auto& parked : rounds_.take_all()) decline(parked.from, parked.open);
}

/// What the end of an exchange that we have asked for means for our round.
void Averager::Machine::follow_initiator(Instant now, const ExchangeEvent& event, bool of_round) {
    if (!of_round) {
        const auto stage = rounds_.stage();
        if (stage == RoundStage::Elsewhere) rounds_.end();
        if (stage == RoundStage::Queued) ask_in_round(now, rounds_.partner());
        return;
    }
    if (rounds_.stage() != RoundStage::Asking) return;
    if (event.outcome == Outcome::Committed) {
        rounds_.end();
    } else if (event.outcome == Outcome::Collapsed) {
        // Its request may have waited here until we had ended another exchange, and runs already.
        const bool answers = responder_ && responder_->clock().partner == event.partner;
        const auto stage = answers ? RoundStage::Answering : RoundStage::Expecting;
        rounds_.enter(now, stage, event.partner);
    } else {
        fall_back(now);
    }
}

void Averager::Machine::open_with(Instant now, const PeerId& partner, bool of_round) {
    ++bench_.counters.started;
    Initiator::Request request;
    request.id = ExchangeId{rng_.next()};
    request.partner = partner;
    request.layout = layout_;
    request.rule = bench_.config.mix.rule;
    of_round_ = of_round;
    request.round = of_round ? rounds_.number() : 0;
    request.patience = of_round ? bench_.config.sync_wait : bench_.config.deadline_base;
    const bool settles = bench_.settling && pairwise_ != nullptr;
    if (settles) request.rule = Rule::Pairwise;
    if (ghost_) request.rule = Rule::Pull;
    // A weight belongs to one part; all other rules settle, and catch up, as a whole.
    const bool whole = ghost_ || (bench_.settling && bench_.config.mix.rule != Rule::PushSum);
    if (!whole && bench_.config.parts > 1) {
        request.part = {next_part_, bench_.config.parts};
        next_part_ = (next_part_ + 1) % bench_.config.parts;
    }
    request.left = promise(request.rule, partner);
    if (weighs(request.rule) && !claims_.distrusts(partner)) {
        request.weight = *weight_;
        request.weight_max = bench_.config.weight_max;
    }
    initiator_.emplace(bench_, rule_of(request.rule), request, now);
}

bool Averager::Machine::weighs(Rule rule) const {
    return weight_ && rule == Rule::Pairwise && bench_.config.mix.rule == Rule::Pairwise &&
           bench_.config.weight_max > 0;
}

double Averager::Machine::promise(Rule rule, const PeerId& partner) const {
    const double even = bench_.config.coefficient;
    double wanted = even;
    const auto theirs = claims_.of(partner);
    if (weighs(rule) && theirs) {
        const int lighter = std::clamp(*theirs - *weight_, 0, int{bench_.config.weight_max});
        wanted = std::max(even, share_of(even, Tilt::lighter_by(lighter)));
    }
    return std::min(wanted, share_left());
}

double Averager::Machine::share_left() const {
    return 1.0 - (initiator_ ? initiator_->share() : 0.0) -
           (responder_ ? responder_->share() : 0.0);
}

void Averager::Machine::set_weight(std::optional<std::int8_t> log2) {
    if (weight_ == log2) return;
    weight_ = log2;
    ++bench_.counters.weight_changes;
}

void Averager::Machine::set_ghost(bool wanted) {
    if (ghost_ == wanted) return;
    ghost_ = wanted;
    ghost_exchanges_ = 0;
    if (ghost_) return decline_parked();
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
    if (planted(PlantedFault::NeverCounts)) return;
    const bool near = event.relative_distance <= kCaughtUp * initiator_->their_spread();
    if (near || ++ghost_exchanges_ >= kGhostExchanges) set_ghost(false);
}

}  // namespace starling::gossip
