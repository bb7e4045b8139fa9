#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "gossip/codec.hpp"
#include "gossip/exchange.hpp"

namespace starling::gossip {
namespace {

/// Locked chunks remembered for later; with more, sending pauses until the next retry. A packing
/// trainer holds a tensor's chunks together, so looking further mostly finds more locks.
constexpr std::size_t kSkippedMax = 16;

}  // namespace

Instant ExchangeClock::next_timeout() const {
    const Instant end = std::min(deadline, stalled);
    return retry_at ? std::min(end, *retry_at) : end;
}

Initiator::Initiator(
    Workbench& bench, ExchangeId id, const PeerId& partner, const LayoutHash& layout, Instant now
)
    : bench_(bench),
      encoding_(bench.wish) {
    const Instant patience = now + bench.config.deadline_base;
    clock_ = ExchangeClock{id, partner, now, now, patience, patience, std::nullopt};
    Open open;
    open.id = id;
    open.layout = layout;
    open.chunk_count = bench.chunk_count();
    open.coefficient = bench.config.coefficient;
    open.encoding = encoding_;
    bench_.send(partner, encode(open));
}

std::uint32_t Initiator::acked() const {
    return static_cast<std::uint32_t>(tally_.chunks_applied);
}

Ending Initiator::on_accept(Instant now, const Accept& accept) {
    STARLING_CHECK(opening_);
    opening_ = false;
    // Never a coarser one than the one we offered.
    if (agree(accept.encoding, encoding_) != accept.encoding) return Outcome::Violated;
    encoding_ = accept.encoding;
    applied_.assign(bench_.chunk_count(), false);
    again_.assign(bench_.chunk_count(), false);
    clock_.traded_since = now;
    clock_.deadline = now + bench_.whole_allowance();
    clock_.stalled = now + bench_.stall_allowance();
    return advance(now);
}

Ending Initiator::on_reply(Instant now, const ChunkReply& reply) {
    if (opening_ || !bench_.has(reply.index, reply.elements)) return Outcome::Violated;
    const auto flight =
        std::find_if(in_flight_.begin(), in_flight_.end(), [&](const InFlight& candidate) {
            return candidate.index == reply.index;
        });
    if (flight == in_flight_.end() || flight->replied) {
        // A repeated reply changes nothing; a reply to a chunk that was never sent is a lie.
        const bool known = applied_[reply.index] || again_[reply.index];
        if (flight == in_flight_.end() && !known) return Outcome::Violated;
        ++bench_.counters.stale;
        return std::nullopt;
    }
    const auto& encoding = bench_.encoding_for(reply.index, encoding_);
    if (!encoding.fits_reply(reply.payload, flight->bytes)) return Outcome::Violated;
    if (encoding.asks_again(reply.payload)) {
        if (again_[reply.index]) {
            ++bench_.counters.stale;
            return std::nullopt;
        }
        clock_.stalled = now + bench_.stall_allowance();
        send_again_later(static_cast<std::size_t>(flight - in_flight_.begin()));
        return advance(now);
    }
    bench_.count_payload(tally_, reply.payload.size());
    if (!settle(*flight, reply.payload)) return Outcome::Violated;
    clock_.stalled = now + bench_.stall_allowance();
    if (try_apply(*flight)) {
        remove_flight(static_cast<std::size_t>(flight - in_flight_.begin()));
    } else {
        retry_soon(now);
    }
    return advance(now);
}

Ending Initiator::on_timeout(Instant now) {
    if (clock_.expired(now)) return Outcome::TimedOut;
    if (!clock_.retry_at || now < *clock_.retry_at) return std::nullopt;
    clock_.retry_at.reset();
    for (std::size_t i = 0; i < in_flight_.size();) {
        if (in_flight_[i].replied && try_apply(in_flight_[i])) {
            remove_flight(i);
        } else {
            ++i;
        }
    }
    // After the skipped chunks had their turn: they are tried only while no retry is armed.
    const Ending ending = advance(now);
    const bool waiting = std::any_of(in_flight_.begin(), in_flight_.end(), [](const auto& flight) {
        return flight.replied;
    });
    if (waiting) retry_soon(now);
    return ending;
}

bool Initiator::settle(InFlight& flight, ByteView reply) {
    const auto& encoding = bench_.encoding_for(flight.index, encoding_);
    const double coefficient = bench_.config.coefficient;
    const auto gaps = bench_.gaps_scratch(flight.index, bench_.config.encoding);
    Difference difference;
    if (encoding.wire_is_raw()) {
        difference = encoding.settle(reply, flight.bytes, coefficient, flight.bytes, gaps);
    } else {
        Bytes delta = bench_.pool.take(bench_.raw_bytes(flight.index));
        difference = encoding.settle(reply, flight.bytes, coefficient, delta, gaps);
        bench_.pool.give(std::exchange(flight.bytes, std::move(delta)));
    }
    difference.squared_norm += flight.offer.squared_norm;
    if (!bench_.enter(flight.index, difference, tally_)) return false;
    if (!gaps.empty()) bench_.gaps.note(clock_.partner, flight.index, gaps);
    flight.replied = true;
    return true;
}

void Initiator::send_again_later(std::size_t at) {
    auto& flight = in_flight_[at];
    again_[flight.index] = true;
    bench_.gaps.forget(clock_.partner, flight.index);
    skipped_.push_back(flight.index);
    in_flight_bytes_ -= flight.offer.bytes;
    bench_.pool.give(std::move(flight.bytes));
    remove_flight(at);
}

std::size_t Initiator::wire_bytes(std::uint32_t index) const {
    return bench_.encoding_for(index, encoding_)
        .wire_bytes(bench_.parameters.chunk_elements(index));
}

void Initiator::remove_flight(std::size_t at) {
    if (at + 1 != in_flight_.size()) in_flight_[at] = std::move(in_flight_.back());
    in_flight_.pop_back();
}

Ending Initiator::advance(Instant now) {
    while (send_next(now)) {
    }
    if (tally_.chunks_applied < bench_.chunk_count()) return std::nullopt;
    STARLING_CHECK(in_flight_.empty() && skipped_.empty());
    bench_.send(clock_.partner, encode(Commit{clock_.id}));
    return Outcome::Committed;
}

bool Initiator::send_next(Instant now) {
    // Skipped chunks first: only a retry clears retry_at, so one locked chunk is not asked again
    // with every reply.
    if (!clock_.retry_at) {
        for (auto& index : skipped_) {
            if (!window_takes(wire_bytes(index))) return false;
            if (!send_chunk(index)) continue;
            std::swap(index, skipped_.back());
            skipped_.pop_back();
            return true;
        }
        if (!skipped_.empty()) retry_soon(now);
    }
    if (cursor_ == bench_.chunk_count() || skipped_.size() >= kSkippedMax) return false;
    if (!window_takes(wire_bytes(cursor_))) return false;
    if (!send_chunk(cursor_)) {
        skipped_.push_back(cursor_);
        retry_soon(now);
    }
    ++cursor_;
    return true;
}

bool Initiator::window_takes(std::size_t bytes) const {
    if (in_flight_.empty()) return true;
    return in_flight_.size() < kInFlightMax &&
           in_flight_bytes_ + bytes <= bench_.config.window_bytes;
}

bool Initiator::send_chunk(std::uint32_t index) {
    Bytes frame;
    Offer offer;
    std::span<const float> gaps;
    if (!again_[index] && !bench_.parameters.is_buffer(index)) {
        gaps = bench_.gaps.of(clock_.partner, index);
    }
    const auto& encoding = bench_.encoding_for(index, encoding_);
    if (!bench_.read_offer(index, encoding, gaps, frame, offer)) return false;
    const auto payload = std::span(frame).subspan(kPayloadOffset);
    Chunk header;
    header.id = clock_.id;
    header.index = index;
    header.elements = static_cast<std::uint32_t>(bench_.parameters.chunk_elements(index));
    header.acked = acked();
    write_payload_header(header, std::span(frame).first<kPayloadOffset>());
    // The frame leaves with the driver, and the delta needs exactly what was sent: the chunk itself
    // may have moved on by then. Hence a copy.
    InFlight flight{index, bench_.pool.take(payload.size()), offer, false};
    std::copy(payload.begin(), payload.end(), flight.bytes.begin());
    in_flight_bytes_ += payload.size();
    in_flight_.push_back(std::move(flight));
    bench_.count_payload(tally_, payload.size());
    bench_.send(clock_.partner, std::move(frame));
    return true;
}

bool Initiator::try_apply(InFlight& flight) {
    if (!bench_.parameters.try_add(flight.index, flight.bytes)) return false;
    in_flight_bytes_ -= flight.offer.bytes;
    applied_[flight.index] = true;
    ++tally_.chunks_applied;
    bench_.pool.give(std::move(flight.bytes));
    return true;
}

void Initiator::retry_soon(Instant now) {
    if (!clock_.retry_at) clock_.retry_at = now + bench_.config.retry_locked;
}

}  // namespace starling::gossip
