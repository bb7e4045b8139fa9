// How an exchange is concluded: its event, the counters, the partner's rest, the paces.

#include <cmath>

#include "gossip/codec.hpp"
#include "gossip/machine.hpp"

namespace starling::gossip {
namespace {

constexpr double kSpreadDecay = 0.25;

bool is_failure(Outcome outcome) {
    return outcome == Outcome::TimedOut || outcome == Outcome::Disconnected ||
           outcome == Outcome::Violated;
}

AbortReason reason_of(Outcome outcome) {
    if (outcome == Outcome::TimedOut) return AbortReason::TimedOut;
    return outcome == Outcome::Violated ? AbortReason::Violated : AbortReason::Gone;
}

/// What both sides tell of an exchange that ends.
template <class Side>
ExchangeEvent event_of(Instant now, const Side& side, const Ending& ending) {
    ExchangeEvent event;
    event.id = side.clock().id;
    event.partner = side.clock().partner;
    event.rule = side.rule();
    event.outcome = ending.outcome;
    event.misdeed = ending.misdeed;
    event.chunks_applied = side.tally().chunks_applied;
    event.relative_distance = side.tally().relative_distance();
    event.bytes = side.tally().payload_bytes;
    event.duration = now - side.clock().started;
    return event;
}

}  // namespace

void Averager::Machine::end_all_with(
    Instant now, const PeerId& peer, Ending ending, Stream stream
) {
    if (initiator_ && initiator_->clock().partner == peer) {
        conclude_initiator(now, ending, stream);
        ending.misdeed = Misdeed::None;
    }
    if (responder_ && responder_->clock().partner == peer) conclude_responder(now, ending, stream);
}

void Averager::Machine::conclude_initiator(Instant now, const Ending& ending, Stream stream) {
    const Outcome outcome = ending.outcome;
    const auto& clock = initiator_->clock();
    const auto& tally = initiator_->tally();
    auto event = event_of(now, *initiator_, ending);
    event.initiator = true;
    if (is_failure(outcome) && stream == Stream::Alive) {
        const Abort abort{clock.id, reason_of(outcome), initiator_->acked()};
        bench_.send(clock.partner, encode(abort));
    }
    if (!initiator_->opening()) measure(now, clock, tally, outcome);
    note_partner(now, event);
    count(event);
    events_.push_back(event);
    initiator_->withdraw();
    if (mixing_->waiting() && !retry_at_) retry_at_ = now + bench_.config.retry_locked;
    if (event.rule == Rule::Pull) note_pull(event);
    const bool of_round = std::exchange(of_round_, false);
    initiator_.reset();
    follow_initiator(now, event, of_round);
}

void Averager::Machine::conclude_responder(Instant now, const Ending& ending, Stream stream) {
    const Outcome outcome = ending.outcome;
    const auto& clock = responder_->clock();
    const auto& tally = responder_->tally();
    auto event = event_of(now, *responder_, ending);
    event.chunks_half_applied = responder_->half_applied();
    if (is_failure(outcome) && stream == Stream::Alive) {
        bench_.send(clock.partner, encode(Abort{clock.id, reason_of(outcome), 0}));
    }
    // Whoever was pulled from has measured nothing of its own.
    if (event.rule != Rule::Pull) measure(now, clock, tally, outcome);
    note_partner(now, event);
    count(event);
    events_.push_back(event);
    responder_.reset();
    const bool of_round = event.rule != Rule::Pull && event.partner == rounds_.partner() &&
                          rounds_.stage() == RoundStage::Answering;
    if (of_round && outcome == Outcome::Committed) rounds_.end();
    serve_parked(now);
    if (of_round && outcome != Outcome::Committed) fall_back(now);
}

void Averager::Machine::note_partner(Instant now, const ExchangeEvent& event) {
    const PeerId& partner = event.partner;
    switch (event.outcome) {
        case Outcome::Committed:
            return partners_.succeeded(now, partner);
        case Outcome::Busy:
            return partners_.was_busy(now, partner);
        case Outcome::Collapsed:
            return;
        case Outcome::Refused:
            return partners_.refused(now, partner);
        case Outcome::TimedOut:
            bench_.count(Misdeed::Stall);
            return partners_.failed(now, partner);
        case Outcome::Disconnected:
            return partners_.failed(now, partner);
        case Outcome::Violated:
            partners_.failed(now, partner);
            if (is_strike(event.misdeed)) partners_.struck(now, partner);
            return;
    }
}

void Averager::Machine::count(const ExchangeEvent& event) {
    auto& counters = bench_.counters;
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
    auto& pace = bench_.paces.of(clock.partner);
    if (outcome == Outcome::TimedOut) pace.timed_out();
    if (outcome != Outcome::Committed) return;
    pace.committed(tally.payload_bytes, now - clock.traded_since);
    bench_.paces.measured(pace.rate());
    const double distance = tally.relative_distance();
    // Squares of huge but finite floats may overflow; one such exchange must not spoil the mean.
    if (std::isfinite(distance)) bench_.spread += kSpreadDecay * (distance - bench_.spread);
}

}  // namespace starling::gossip
