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
    : bench_(bench) {
    const Instant patience = now + bench.config.deadline_base;
    clock_ = ExchangeClock{id, partner, now, now, patience, patience, std::nullopt};
    Open open;
    open.id = id;
    open.layout = layout;
    open.chunk_count = bench.chunk_count();
    open.coefficient = bench.config.coefficient;
    open.encoding = bench.config.encoding;
    bench_.send(partner, encode(open));
}

std::uint32_t Initiator::acked() const {
    return static_cast<std::uint32_t>(tally_.chunks_applied);
}

Ending Initiator::on_accept(Instant now) {
    STARLING_CHECK(opening_);
    opening_ = false;
    applied_.assign(bench_.chunk_count(), false);
    clock_.traded_since = now;
    clock_.deadline = now + bench_.whole_allowance();
    clock_.stalled = now + bench_.stall_allowance();
    return advance(now);
}

Ending Initiator::on_reply(Instant now, const ChunkReply& reply) {
    if (opening_ || !bench_.fits(reply.index, reply.elements, reply.payload)) {
        return Outcome::Violated;
    }
    const auto flight =
        std::find_if(in_flight_.begin(), in_flight_.end(), [&](const InFlight& candidate) {
            return candidate.index == reply.index;
        });
    if (flight == in_flight_.end() || flight->replied) {
        // A repeated reply changes nothing; a reply to a chunk that was never sent is a lie.
        if (flight == in_flight_.end() && !applied_[reply.index]) return Outcome::Violated;
        ++bench_.counters.stale;
        return std::nullopt;
    }
    bench_.count_payload(tally_, reply.payload.size());
    const bool finite = bench_.difference(
        reply.index, reply.payload, flight->bytes, bench_.config.coefficient, flight->bytes, tally_
    );
    if (!finite) return Outcome::Violated;
    flight->replied = true;
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
            if (!window_takes(bench_.wire_bytes(index))) return false;
            if (!send_chunk(index)) continue;
            std::swap(index, skipped_.back());
            skipped_.pop_back();
            return true;
        }
        if (!skipped_.empty()) retry_soon(now);
    }
    if (cursor_ == bench_.chunk_count() || skipped_.size() >= kSkippedMax) return false;
    if (!window_takes(bench_.wire_bytes(cursor_))) return false;
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
    if (!bench_.read_into_frame(index, frame)) return false;
    const auto payload = std::span(frame).subspan(kPayloadOffset);
    Chunk header;
    header.id = clock_.id;
    header.index = index;
    header.elements = static_cast<std::uint32_t>(bench_.parameters.chunk_elements(index));
    header.acked = acked();
    write_payload_header(header, std::span(frame).first<kPayloadOffset>());
    // The frame leaves with the driver, and the delta needs exactly what was sent: the chunk itself
    // may have moved on by then. Hence a copy.
    InFlight flight{index, bench_.pool.take(payload.size()), false};
    std::copy(payload.begin(), payload.end(), flight.bytes.begin());
    in_flight_bytes_ += payload.size();
    in_flight_.push_back(std::move(flight));
    bench_.count_payload(tally_, payload.size());
    bench_.send(clock_.partner, std::move(frame));
    return true;
}

bool Initiator::try_apply(InFlight& flight) {
    if (!bench_.parameters.try_add(flight.index, flight.bytes)) return false;
    in_flight_bytes_ -= flight.bytes.size();
    applied_[flight.index] = true;
    ++tally_.chunks_applied;
    bench_.pool.give(std::move(flight.bytes));
    return true;
}

void Initiator::retry_soon(Instant now) {
    if (!clock_.retry_at) clock_.retry_at = now + bench_.config.retry_locked;
}

}  // namespace starling::gossip
