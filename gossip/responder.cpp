#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "gossip/codec.hpp"
#include "gossip/encoding/registry.hpp"
#include "gossip/exchange.hpp"

namespace starling::gossip {

Responder::Responder(
    Workbench& bench,
    MixingRule& mixing,
    const Open& open,
    Accept accept,
    const PeerId& partner,
    Instant now
)
    : bench_(bench),
      mixing_(mixing),
      terms_{
          partner,
          *agree(open.encoding, bench.wish),
          accept.coefficient,
          {open.part, open.parts},
          open.minor,
          Tilt::lighter_by(accept.tilt)},
      rule_(open.rule),
      chunks_(bench.chunks_in(terms_.part)),
      seen_(bench.chunk_count(), false),
      again_(bench.chunk_count(), false) {
    clock_ = ExchangeClock{
        open.id,
        partner,
        now,
        now,
        now + bench.whole_allowance(partner),
        now + bench.stall_allowance(partner),
        std::nullopt};
    accept.id = open.id;
    accept.encoding = terms_.encoding;
    accept.spread = bench.spread;
    if (rule_ != Rule::Pull && is_lattice(terms_.encoding)) {
        accept.samples = take_samples(bench, open.id, terms_.part);
    }
    bench_.send(partner, encode(accept));
}

std::optional<Ending> Responder::on_chunk(Instant now, const Chunk& chunk) {
    const bool fits = bench_.has(chunk.index, chunk.elements, terms_.part) &&
                      mixing_.fits_offer(terms_, chunk.index, chunk.payload);
    if (!fits) return bench_.violated(Misdeed::Size);
    if (!acknowledge(chunk.acked)) return bench_.violated(Misdeed::Lie);
    // An offer that we could not decode may come twice, and the second may look as if we could.
    const bool refused =
        again_[chunk.index] && !mixing_.always_decodes(terms_, chunk.index, chunk.payload);
    if (seen_[chunk.index] || refused) {
        ++bench_.counters.stale;
        return std::nullopt;
    }
    // An honest initiator has at most this many chunks without an applied reply. Without this bound
    // one that sends on and on, and reads nothing, would grow our outbox to the size of the model.
    const std::size_t unacked = unacknowledged() + parked_.size();
    if (unacked >= kInFlightMax) return bench_.violated(Misdeed::Flood);
    seen_[chunk.index] = true;
    bench_.count_payload(tally_, chunk.payload.size());
    clock_.stalled = now + bench_.stall_allowance(clock_.partner);
    const auto [served, misdeed] = serve(chunk.index, chunk.payload);
    switch (served) {
        case Served::Done:
        case Served::Again:
            return std::nullopt;
        case Served::Locked:
            return park(now, chunk);
        case Served::Refused:
            return Ending{Outcome::Violated, misdeed};
    }
    STARLING_UNREACHABLE("all results are handled");
}

Answered Responder::serve(std::uint32_t index, ByteView payload) {
    Bytes frame;
    const auto answered = mixing_.answer(terms_, index, payload, frame, tally_);
    if (answered.served == Served::Again) {
        ask_again(index, std::move(frame));
        return answered;
    }
    if (answered.served != Served::Done) return answered;
    ++tally_.chunks_applied;
    bench_.count_payload(tally_, frame.size() - kPayloadOffset);
    send_reply(index, std::move(frame));
    return answered;
}

/// Nothing was applied, so the chunk is as if it had never come.
void Responder::ask_again(std::uint32_t index, Bytes frame) {
    ++bench_.counters.asked_again;
    seen_[index] = false;
    again_[index] = true;
    send_reply(index, std::move(frame));
}

void Responder::send_reply(std::uint32_t index, Bytes frame) {
    ChunkReply header;
    header.id = clock_.id;
    header.index = index;
    header.elements = static_cast<std::uint32_t>(bench_.elements(index, terms_.part));
    write_payload_header(header, std::span(frame).first<kPayloadOffset>());
    bench_.send(clock_.partner, std::move(frame), Passage::Reply);
}

std::optional<Ending> Responder::park(Instant now, const Chunk& chunk) {
    const std::size_t size = chunk.payload.size();
    if (!parked_.empty() && parked_bytes_ + size > kWindowMax) {
        return bench_.violated(Misdeed::Flood);
    }
    // The payload is a view into the driver's buffer, gone when we return.
    Bytes copy = bench_.pool.take(size);
    std::copy(chunk.payload.begin(), chunk.payload.end(), copy.begin());
    parked_bytes_ += size;
    parked_.push_back(Parked{chunk.index, std::move(copy)});
    if (!clock_.retry_at) clock_.retry_at = now + bench_.config.retry_locked;
    return std::nullopt;
}

std::optional<Ending> Responder::on_timeout(Instant now) {
    if (clock_.expired(now)) return Ending{Outcome::TimedOut, Misdeed::Stall};
    if (!clock_.retry_at || now < *clock_.retry_at) return std::nullopt;
    clock_.retry_at.reset();
    for (std::size_t i = 0; i < parked_.size();) {
        const auto [served, misdeed] = serve(parked_[i].index, parked_[i].payload);
        if (served == Served::Refused) return Ending{Outcome::Violated, misdeed};
        if (served == Served::Locked) {
            ++i;
            continue;
        }
        parked_bytes_ -= parked_[i].payload.size();
        bench_.pool.give(std::move(parked_[i].payload));
        if (i + 1 != parked_.size()) parked_[i] = std::move(parked_.back());
        parked_.pop_back();
    }
    if (!parked_.empty()) clock_.retry_at = now + bench_.config.retry_locked;
    return std::nullopt;
}

std::optional<Ending> Responder::on_commit() {
    if (tally_.chunks_applied < chunks_) return bench_.violated(Misdeed::Order);
    acked_ = chunks_;
    return Ending{Outcome::Committed};
}

void Responder::on_abort(const Abort& abort) {
    // A lie can only hide half-applied chunks from a statistic; nothing else depends on it.
    (void)acknowledge(abort.acked);
}

bool Responder::acknowledge(std::uint32_t acked) {
    if (acked > tally_.chunks_applied) return false;
    // Frames may come late or twice; an acknowledgement is never taken back.
    acked_ = std::max(acked_, acked);
    return true;
}

}  // namespace starling::gossip
