// What frames do to the machine.

#include "gossip/codec.hpp"
#include "gossip/machine.hpp"

namespace starling::gossip {
namespace {

/// How an exchange ends that the partner aborts. If it says that we did something wrong, that is no
/// misdeed of its own.
Ending ending_of(AbortReason reason) {
    switch (reason) {
        case AbortReason::TimedOut:
            return {Outcome::TimedOut, Misdeed::Stall};
        case AbortReason::Violated:
            return {Outcome::Violated};
        case AbortReason::Gone:
            return {Outcome::Disconnected};
    }
    return {Outcome::Violated};
}

}  // namespace

Result<void> Averager::Machine::handle_frame(Instant now, const PeerId& from, ByteView frame) {
    const auto message = decode(frame);
    if (!message) {
        ++bench.counters.malformed;
        const Ending ending = bench.violated(Misdeed::Malformed);
        // Outside an exchange nothing else would notice.
        if (!engaged_with(from)) partners.struck(now, from);
        end_all_with(now, from, ending, Stream::Alive);
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
    auto reason = misfit(open);
    if (partners.barred(now, from)) reason = RefuseReason::Strikes;
    if (reason) {
        ++bench.counters.refusals;
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
    if (with_them) settle_initiator(now, {Outcome::Collapsed}, Stream::Alive);
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
    settle_initiator(now, {busy.collapsed ? Outcome::Collapsed : Outcome::Busy}, Stream::Alive);
}

void Averager::Machine::on(Instant now, const PeerId& from, const Refuse& refuse) {
    if (!initiating(from, refuse.id) || !initiator->opening()) {
        ++bench.counters.stale;
        return;
    }
    settle_initiator(now, {Outcome::Refused}, Stream::Alive);
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
        settle_initiator(now, ending_of(abort.reason), Stream::Gone);
    } else if (responding(from, abort.id)) {
        responder->on_abort(abort);
        settle_responder(now, ending_of(abort.reason), Stream::Gone);
    } else {
        ++bench.counters.stale;
    }
}

void Averager::Machine::on(Instant /*now*/, const PeerId& /*from*/, const Unknown& /*unknown*/) {
    ++bench.counters.stale;
}

bool Averager::Machine::engaged_with(const PeerId& partner) const {
    return (initiator && initiator->clock().partner == partner) ||
           (responder && responder->clock().partner == partner);
}

bool Averager::Machine::initiating(const PeerId& partner, ExchangeId id) const {
    return initiator && initiator->clock().partner == partner && initiator->clock().id == id;
}

bool Averager::Machine::responding(const PeerId& partner, ExchangeId id) const {
    return responder && responder->clock().partner == partner && responder->clock().id == id;
}

}  // namespace starling::gossip
