// Who is a member: claims of the unknown are held apart until their owners are proven.

#include <utility>

#include "membership/codec.hpp"
#include "membership/machine.hpp"

namespace starling::membership {

namespace {

/// In a table of up to so many members a newcomer introduces itself to all. If one hears of it from
/// another all the same, a datagram got lost, and asking costs little.
constexpr std::size_t kAskAtOnceMax = 64;

}  // namespace

void Swim::Machine::on_claim(
    Instant now, const Statement& claim, Source source, const Conversation& talk
) {
    // A signature costs a hundred times what the rest does: look only at news.
    if (!table_.would_change(claim)) return;
    const auto* departed = departed_.find(claim.subject);
    if (departed != nullptr && verdict_of(claim) <= departed->verdict) return;
    if (!is_backed(now, claim, source, talk)) return hold_apart(now, claim, source, talk);
    // What we have verified may be as new as what its second voucher has.
    const auto apart = unproven_.take(claim.subject);
    const bool verified = apart && verdict_of(apart->claim) >= verdict_of(claim);
    if (!verified && !genuine(now, claim, source)) return;
    if (departed != nullptr) departed_.remove(claim.subject);
    apply(now, verified ? apart->claim : claim, source);
    if (apart && apart->record) on_record(now, *apart->record, source);
}

/// Returns whether the subject of a claim is proven: we know it, the claim comes from itself, we are
/// new and believe the member that we have met first, or a second member tells us of it. A member
/// passes on only what is proven to it.
bool Swim::Machine::is_backed(
    Instant now, const Statement& claim, Source source, const Conversation& talk
) const {
    if (table_.find(claim.subject) || departed_.find(claim.subject) != nullptr) return true;
    if (talk.from == ShortId(claim.subject) || source == Source::FirstPage) return true;
    const bool met_first = first_sender_ == talk.from && conflict_.arriving(now);
    if (source == Source::Page && met_first) return true;
    const auto* apart = unproven_.resolve(claim.subject);
    return apart != nullptr && talk.sender && apart->voucher && *apart->voucher != talk.from;
}

void Swim::Machine::hold_apart(
    Instant now, const Statement& claim, Source source, const Conversation& talk
) {
    auto* apart = unproven_.find(claim.subject);
    if (apart == nullptr || verdict_of(apart->claim) < verdict_of(claim)) {
        if (!genuine(now, claim, source)) return;
        if (apart == nullptr) ++counters_.held_apart;
        apart = &unproven_.hold(now, claim);
        if (table_.size() <= kAskAtOnceMax) ask_unproven(now);
        apart = unproven_.find(claim.subject);
    }
    if (apart != nullptr && !apart->voucher && talk.sender) apart->voucher = talk.from;
}

/// Something has come from this peer itself, sealed or over a stream that it has signed.
void Swim::Machine::prove(Instant now, const ShortId& id) {
    const auto* found = unproven_.resolve(id);
    if (found == nullptr) return;
    const auto apart = unproven_.take(found->claim.subject);
    apply(now, apart->claim, Source::Rumour);
    if (apart->record) on_record(now, *apart->record, Source::Rumour);
}

void Swim::Machine::ask_unproven(Instant now) {
    if (left_) return;
    while (unproven_.size() > 0) {
        if (!ask_budget_.take(now)) return;
        const auto asked = unproven_.next_to_ask(now, config_.probe_interval + round_trip_.usual());
        if (!asked) return ask_budget_.give_back();
        const auto& claim = asked->claim;
        const Message ping[] = {Ping{probe_id_rng_.next(), claim.subject}};
        send(claim.address, ShortId(claim.subject), ping);
        // Its datagrams may be blocked.
        if (asked->asked > 1) {
            request_stream({claim.subject, claim.address, StreamRequest::Kind::Ping});
        }
    }
}

}  // namespace starling::membership
