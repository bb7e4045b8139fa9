// What frames do to the machine.

#include <cstdlib>

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
        ++bench_.counters.malformed;
        const Ending ending = bench_.violated(Misdeed::Malformed);
        // Outside an exchange nothing else would notice.
        if (!engaged_with(from)) partners_.struck(now, from);
        end_all_with(now, from, ending, Stream::Alive);
        return message.error();
    }
    std::visit([&](const auto& m) { on(now, from, m); }, *message);
    return {};
}

void Averager::Machine::on(Instant now, const PeerId& from, const Open& open) {
    if (from == self_ || recent_.contains(open.id)) {
        ++bench_.counters.stale;
        return;
    }
    auto reason = misfit(open);
    if (partners_.barred(now, from)) reason = RefuseReason::Strikes;
    if (reason) {
        ++bench_.counters.refusals;
        bench_.send(from, encode(Refuse{open.id, *reason}));
        return;
    }
    // A pull changes nothing here, so it cannot cross with another exchange.
    const bool pulls = open.rule == Rule::Pull;
    // Who is no partner of ours may learn our parameters, but not change them. One that has begun to
    // train a moment ago, so that we have not heard of it, asks again.
    if (!pulls && !partners_.contains(from)) return decline(from, open);
    // When the requests of a pair cross, that of the lower id goes on, whichever arrives first. The
    // peer with the lower id says so, and the other withdraws its own. Without this rule two peers
    // in lockstep decline each other, or swap their models, for ever.
    const bool ahead = !pulls && !bench_.settling && rounds_.ahead(open);
    if (!pulls && !bench_.settling && rounds_.behind(open)) {
        bench_.send(from, encode(Refuse{open.id, RefuseReason::Round, rounds_.number()}));
        return;
    }
    const bool with_them = !pulls && !ahead && initiator_ && initiator_->clock().partner == from &&
                           initiator_->rule() != Rule::Pull;
    if (with_them && (!initiator_->opening() || self_ < from)) {
        bench_.send(from, encode(Busy{open.id, initiator_->opening()}));
        return;
    }
    if (!accepting_ || (ghost_ && !pulls)) return decline(from, open);
    const bool waits = !pulls && open.round > 0 && rounds_.counts() && (ahead || responder_);
    if (responder_ && !waits) return decline(from, open);
    if (with_them) conclude_initiator(now, {Outcome::Collapsed}, Stream::Alive);
    // To conclude may have begun to answer another one whose request waited.
    if (waits || responder_) return park(now, from, open);
    serve(now, from, open);
}

void Averager::Machine::serve(Instant now, const PeerId& from, const Open& open) {
    const auto terms = terms_for(now, from, open);
    if (!terms) return decline(from, open);
    recent_.add(open.id);
    responder_.emplace(bench_, rule_of(open.rule), open, *terms, from, now);
    const bool of_round = open.rule != Rule::Pull && from == rounds_.partner() &&
                          rounds_.stage() == RoundStage::Expecting;
    if (of_round) rounds_.enter(now, RoundStage::Answering, from);
}

std::optional<Accept> Averager::Machine::terms_for(
    Instant now, const PeerId& from, const Open& open
) {
    Accept accept;
    accept.coefficient = open.coefficient;
    if (open.rule == Rule::Pull) return accept;
    const double left = share_left();
    // An old partner goes by its own coefficient whatever we say.
    if (open.minor < 2) return left < open.coefficient ? std::nullopt : std::optional(accept);
    // Who waits for the partner of its round had better go a short way than none.
    if (left < kShareMin && open.round == 0) return std::nullopt;
    if (weighs(open.rule)) {
        accept.weight = *weight_;
        accept.weight_max = bench_.config.weight_max;
        if (open.weight_max > 0) accept.tilt = tilt_for(now, from, open);
    }
    const auto ours = Tilt::lighter_by(accept.tilt);
    accept.coefficient = std::min(
        {open.coefficient, coefficient_for(left, ours), coefficient_for(open.left, ours.reversed())}
    );
    return accept;
}

std::int8_t Averager::Machine::tilt_for(Instant now, const PeerId& from, const Open& open) {
    if (!claims_.note(now, from, open.weight)) {
        ++bench_.counters.weights_distrusted;
        return 0;
    }
    const int most = std::min(open.weight_max, bench_.config.weight_max);
    const int heavier = open.weight - *weight_;
    if (std::abs(heavier) > most) ++bench_.counters.weights_clipped;
    return static_cast<std::int8_t>(std::clamp(heavier, -most, most));
}

void Averager::Machine::decline(const PeerId& from, const Open& open) {
    bench_.send(from, encode(Busy{open.id, false}));
}

void Averager::Machine::park(Instant now, const PeerId& from, const Open& open) {
    if (!rounds_.park(now, from, open)) decline(from, open);
}

MixingRule& Averager::Machine::rule_of(Rule rule) {
    if (rule == Rule::Pull) return *pull_;
    if (rule == Rule::Pairwise && pairwise_) return *pairwise_;
    return *mixing_;
}

/// Whether our rules can serve a request.
bool Averager::Machine::knows(const Open& open) const {
    const Rule own = bench_.config.mix.rule;
    const std::uint32_t parts = bench_.config.parts;
    if (open.part >= open.parts || (open.parts != 1 && open.parts != parts)) return false;
    if (open.rule == Rule::Pull) return true;
    // A weight belongs to one part of one cut.
    if (own == Rule::PushSum) return open.rule == own && open.parts == parts;
    return open.rule == own || (open.rule == Rule::Pairwise && pairwise_ != nullptr);
}

std::optional<RefuseReason> Averager::Machine::misfit(const Open& open) const {
    if (open.layout != layout_ || open.chunk_count != bench_.chunk_count()) {
        return RefuseReason::Layout;
    }
    if (!knows(open)) return RefuseReason::Rule;
    if (!agree(open.encoding, bench_.wish)) return RefuseReason::Encoding;
    const double own = bench_.config.coefficient;
    // Negated, so that a NaN is refused too.
    if (!(open.coefficient > 0.0 && open.coefficient <= own)) return RefuseReason::Coefficient;
    // No coefficient of an even pair is above a half, and neither is what is left for it.
    const bool left = open.left > 0.0 && open.left <= 1.0;
    if (open.minor >= 2 && !left) return RefuseReason::Coefficient;
    return std::nullopt;
}

void Averager::Machine::on(Instant now, const PeerId& from, const Accept& accept) {
    if (!initiating(from, accept.id)) {
        // We gave that request up; without a word the partner would wait for its deadline.
        ++bench_.counters.stale;
        bench_.send(from, encode(Abort{accept.id, AbortReason::Gone, 0}));
        return;
    }
    if (!initiator_->opening()) {
        ++bench_.counters.stale;
        return;
    }
    const bool weighed = accept.weight_max > 0 && weighs(initiator_->rule());
    if (weighed && !claims_.note(now, from, accept.weight)) ++bench_.counters.weights_distrusted;
    if (weighed && accept.tilt != 0 && initiator_->weight() - accept.weight != accept.tilt) {
        ++bench_.counters.weights_clipped;
    }
    if (const auto end = initiator_->on_accept(now, accept))
        conclude_initiator(now, *end, Stream::Alive);
}

void Averager::Machine::on(Instant now, const PeerId& from, const Busy& busy) {
    if (!initiating(from, busy.id) || !initiator_->opening()) {
        ++bench_.counters.stale;
        return;
    }
    conclude_initiator(now, {busy.collapsed ? Outcome::Collapsed : Outcome::Busy}, Stream::Alive);
}

void Averager::Machine::on(Instant now, const PeerId& from, const Refuse& refuse) {
    if (!initiating(from, refuse.id) || !initiator_->opening()) {
        ++bench_.counters.stale;
        return;
    }
    // Our round is over for them. They would take us in theirs.
    const bool late = refuse.reason == RefuseReason::Round;
    if (late) rounds_.catch_up(refuse.round);
    conclude_initiator(now, {late ? Outcome::Busy : Outcome::Refused}, Stream::Alive);
}

void Averager::Machine::on(Instant now, const PeerId& from, const Chunk& chunk) {
    if (!responding(from, chunk.id)) {
        ++bench_.counters.stale;
        return;
    }
    const auto end = responder_->on_chunk(now, chunk);
    if (end) conclude_responder(now, *end, Stream::Alive);
}

void Averager::Machine::on(Instant now, const PeerId& from, const ChunkReply& reply) {
    if (!initiating(from, reply.id)) {
        ++bench_.counters.stale;
        return;
    }
    const auto end = initiator_->on_reply(now, reply);
    if (end) conclude_initiator(now, *end, Stream::Alive);
}

void Averager::Machine::on(Instant now, const PeerId& from, const Commit& commit) {
    if (!responding(from, commit.id)) {
        ++bench_.counters.stale;
        return;
    }
    const auto end = responder_->on_commit();
    if (end) conclude_responder(now, *end, Stream::Alive);
}

void Averager::Machine::on(Instant now, const PeerId& from, const Abort& abort) {
    if (initiating(from, abort.id)) {
        conclude_initiator(now, ending_of(abort.reason), Stream::Gone);
    } else if (responding(from, abort.id)) {
        responder_->on_abort(abort);
        conclude_responder(now, ending_of(abort.reason), Stream::Gone);
    } else if (!rounds_.forget(abort.id)) {
        ++bench_.counters.stale;
    }
}

void Averager::Machine::on(Instant /*now*/, const PeerId& /*from*/, const Unknown& /*unknown*/) {
    ++bench_.counters.stale;
}

bool Averager::Machine::engaged_with(const PeerId& partner) const {
    return (initiator_ && initiator_->clock().partner == partner) ||
           (responder_ && responder_->clock().partner == partner);
}

bool Averager::Machine::initiating(const PeerId& partner, ExchangeId id) const {
    return initiator_ && initiator_->clock().partner == partner && initiator_->clock().id == id;
}

bool Averager::Machine::responding(const PeerId& partner, ExchangeId id) const {
    return responder_ && responder_->clock().partner == partner && responder_->clock().id == id;
}

}  // namespace starling::gossip
