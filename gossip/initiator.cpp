#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "gossip/codec.hpp"
#include "gossip/exchange.hpp"

namespace starling::gossip {
namespace {

/// Most locked chunks remembered for later; with more, sending pauses until the next retry. A
/// trainer that packs a tensor holds all its chunks, so looking further mostly finds more locks.
constexpr std::size_t kSkippedMax = 16;

}  // namespace

Instant ExchangeClock::next_timeout() const {
    const Instant end = std::min(deadline, stalled);
    return retry_at ? std::min(end, *retry_at) : end;
}

Initiator::Initiator(Workbench& bench, MixingRule& mixing, const Request& request, Instant now)
    : bench_(bench),
      mixing_(mixing),
      // A partner that knows no weights goes by this coefficient, and so do we then.
      terms_{
          request.partner,
          bench.wish,
          std::min(bench.config.coefficient, request.left),
          request.part},
      rule_(request.rule),
      left_(request.left),
      weight_(request.weight),
      weight_max_(request.weight_max),
      chunks_(bench.chunks_in(request.part)) {
    const Instant patience = now + request.patience;
    clock_ = ExchangeClock{request.id, request.partner, now, now, patience, patience, std::nullopt};
    Open open;
    open.id = request.id;
    open.layout = request.layout;
    open.chunk_count = bench.chunk_count();
    open.coefficient = terms_.coefficient;
    open.encoding = terms_.encoding;
    open.rule = rule_;
    open.parts = terms_.part.count;
    open.part = terms_.part.index;
    open.round = request.round;
    open.weight = request.weight;
    open.weight_max = request.weight_max;
    open.left = request.left;
    bench_.send(request.partner, encode(open));
}

std::uint32_t Initiator::acked() const {
    return static_cast<std::uint32_t>(tally_.chunks_applied);
}

std::optional<Ending> Initiator::on_accept(Instant now, const Accept& accept) {
    STARLING_CHECK(opening_);
    // The partner must not choose a coarser encoding than the one we wished for.
    if (agree(accept.encoding, terms_.encoding) != accept.encoding || !agree_on(accept)) {
        return bench_.violated(Misdeed::Lie);
    }
    opening_ = false;
    terms_.encoding = accept.encoding;
    terms_.minor = accept.minor;
    their_spread_ = accept.spread;
    if (accept.samples) terms_.apart = mixing_.apart(terms_, clock_.id, *accept.samples);
    auto& pace = bench_.paces.of(clock_.partner);
    pace.answered(now - clock_.started);
    window_bytes_ = bench_.config.adapt_window ? pace.window(bench_.config.window_bytes)
                                               : bench_.config.window_bytes;
    applied_.assign(bench_.chunk_count(), false);
    again_.assign(bench_.chunk_count(), false);
    clock_.traded_since = now;
    clock_.deadline = now + bench_.whole_allowance(clock_.partner);
    clock_.stalled = now + bench_.stall_allowance(clock_.partner);
    return advance(now);
}

bool Initiator::agree_on(const Accept& accept) {
    if (accept.minor < 2) return true;
    // Negated, so that a NaN is a lie too.
    if (!(accept.coefficient > 0.0 && accept.coefficient <= terms_.coefficient)) return false;
    if (accept.tilt != 0) {
        const int most = std::min(weight_max_, accept.weight_max);
        if (accept.tilt != std::clamp(weight_ - accept.weight, -most, most)) return false;
    }
    terms_.coefficient = accept.coefficient;
    terms_.tilt = Tilt::lighter_by(-accept.tilt);
    // A hair more, because the responder has rounded.
    constexpr double kHair = 1.0 + 1e-9;
    return terms_.share() <= left_ * kHair;
}

std::optional<Ending> Initiator::on_reply(Instant now, const ChunkReply& reply) {
    if (opening_ || !bench_.has(reply.index, reply.elements, terms_.part)) {
        return bench_.violated(opening_ ? Misdeed::Order : Misdeed::Size);
    }
    const auto flight =
        std::find_if(in_flight_.begin(), in_flight_.end(), [&](const Flight& candidate) {
            return candidate.index == reply.index;
        });
    if (flight == in_flight_.end() || flight->replied) {
        // A repeated reply changes nothing; a reply to a chunk that was never sent is a lie.
        const bool known = applied_[reply.index] || again_[reply.index];
        if (flight == in_flight_.end() && !known) return bench_.violated(Misdeed::Order);
        ++bench_.counters.stale;
        return std::nullopt;
    }
    if (!mixing_.fits_reply(terms_, *flight, reply.payload)) {
        return bench_.violated(Misdeed::Size);
    }
    if (mixing_.asks_again(terms_, reply.index, reply.payload)) {
        if (again_[reply.index]) {
            ++bench_.counters.stale;
            return std::nullopt;
        }
        clock_.stalled = now + bench_.stall_allowance(clock_.partner);
        send_again_later(static_cast<std::size_t>(flight - in_flight_.begin()));
        return advance(now);
    }
    bench_.count_payload(tally_, reply.payload.size());
    const auto [state, misdeed] = mixing_.take_reply(terms_, *flight, reply.payload, tally_);
    if (state == ReplyState::Refused) return Ending{Outcome::Violated, misdeed};
    flight->replied = true;
    clock_.stalled = now + bench_.stall_allowance(clock_.partner);
    if (state == ReplyState::Applied) {
        note_applied(*flight);
        remove_flight(static_cast<std::size_t>(flight - in_flight_.begin()));
    } else {
        retry_soon(now);
    }
    return advance(now);
}

std::optional<Ending> Initiator::on_timeout(Instant now) {
    if (clock_.expired(now)) return Ending{Outcome::TimedOut, Misdeed::Stall};
    if (!clock_.retry_at || now < *clock_.retry_at) return std::nullopt;
    clock_.retry_at.reset();
    for (std::size_t i = 0; i < in_flight_.size();) {
        if (in_flight_[i].replied && mixing_.apply(terms_, in_flight_[i], tally_)) {
            note_applied(in_flight_[i]);
            remove_flight(i);
        } else {
            ++i;
        }
    }
    // Arm the next retry only after this: skipped chunks are tried only while none is armed.
    const auto ending = advance(now);
    const bool waiting = std::any_of(in_flight_.begin(), in_flight_.end(), [](const auto& flight) {
        return flight.replied;
    });
    if (waiting) retry_soon(now);
    return ending;
}

void Initiator::send_again_later(std::size_t at) {
    auto& flight = in_flight_[at];
    again_[flight.index] = true;
    mixing_.wrapped(terms_);
    skipped_.push_back(flight.index);
    in_flight_bytes_ -= flight.offer.bytes;
    bench_.pool.give(std::move(flight.bytes));
    remove_flight(at);
}

void Initiator::remove_flight(std::size_t at) {
    if (at + 1 != in_flight_.size()) in_flight_[at] = std::move(in_flight_.back());
    in_flight_.pop_back();
}

std::optional<Ending> Initiator::advance(Instant now) {
    while (send_next(now)) {
    }
    if (tally_.chunks_applied < chunks_) return std::nullopt;
    STARLING_CHECK(in_flight_.empty() && skipped_.empty());
    bench_.send(clock_.partner, encode(Commit{clock_.id}));
    return Ending{Outcome::Committed};
}

bool Initiator::send_next(Instant now) {
    // Skipped chunks first, unless a retry is armed: a locked chunk is not tried with every reply.
    if (!clock_.retry_at) {
        for (auto& index : skipped_) {
            if (!window_takes(mixing_.offer_bytes_max(terms_, index))) return false;
            if (!send_chunk(index)) continue;
            std::swap(index, skipped_.back());
            skipped_.pop_back();
            return true;
        }
        if (!skipped_.empty()) retry_soon(now);
    }
    skip_empty();
    if (cursor_ == bench_.chunk_count() || skipped_.size() >= kSkippedMax) return false;
    if (!window_takes(mixing_.offer_bytes_max(terms_, cursor_))) return false;
    if (!send_chunk(cursor_)) {
        skipped_.push_back(cursor_);
        retry_soon(now);
    }
    ++cursor_;
    return true;
}

/// Chunks without an element in this part have nothing to exchange.
void Initiator::skip_empty() {
    while (cursor_ < bench_.chunk_count() && bench_.elements(cursor_, terms_.part) == 0) ++cursor_;
}

bool Initiator::window_takes(std::size_t bytes) const {
    if (in_flight_.empty()) return true;
    return in_flight_.size() < kInFlightMax && in_flight_bytes_ + bytes <= window_bytes_;
}

bool Initiator::send_chunk(std::uint32_t index) {
    Bytes frame;
    Flight flight;
    flight.index = index;
    if (!mixing_.offer(terms_, again_[index], frame, flight)) return false;
    const auto payload = std::span(frame).subspan(kPayloadOffset);
    Chunk header;
    header.id = clock_.id;
    header.index = index;
    header.elements = static_cast<std::uint32_t>(bench_.elements(index, terms_.part));
    header.acked = acked();
    write_payload_header(header, std::span(frame).first<kPayloadOffset>());
    // The frame leaves with the driver. Where taking the reply needs exactly what was sent it needs a copy,
    // because by then the chunk itself may have moved on.
    if (mixing_.keeps_offer(terms_, index)) {
        flight.bytes = bench_.pool.take(payload.size());
        std::copy(payload.begin(), payload.end(), flight.bytes.begin());
    }
    in_flight_bytes_ += flight.offer.bytes;
    bench_.count_payload(tally_, payload.size());
    in_flight_.push_back(std::move(flight));
    bench_.send(clock_.partner, std::move(frame), Passage::Offer);
    return true;
}

void Initiator::withdraw() {
    for (auto& flight : in_flight_) mixing_.withdraw(terms_, flight);
    in_flight_.clear();
}

void Initiator::note_applied(Flight& flight) {
    in_flight_bytes_ -= flight.offer.bytes;
    applied_[flight.index] = true;
    ++tally_.chunks_applied;
    bench_.pool.give(std::move(flight.bytes));
}

void Initiator::retry_soon(Instant now) {
    if (!clock_.retry_at) clock_.retry_at = now + bench_.config.retry_locked;
}

}  // namespace starling::gossip
