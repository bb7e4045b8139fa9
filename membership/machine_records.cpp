// Progress records, ours and those of others, and whether a signature is worth its time.

#include <algorithm>

#include "base/check.hpp"
#include "membership/codec.hpp"
#include "membership/machine.hpp"

namespace starling::membership {

namespace {

/// A record that changes nothing which others decide from is signed so often, in a swarm of n the
/// longer of these: so all records of a large swarm together stay below 20 signatures a second.
constexpr Duration kSignEvery = std::chrono::seconds(10);
constexpr Duration kSignEveryPerMember = std::chrono::milliseconds(50);

}  // namespace

template <class Signed>
bool Swim::Machine::genuine(Instant now, const Signed& claim, Source source) {
    // What a newcomer reads first is as much as its seed has to tell, once.
    if (source != Source::FirstPage && !verify_budget_.take(now)) {
        ++counters_.postponed;
        return false;
    }
    if (notary_->verify(claim.key, signed_text(claim, config_.swarm), claim.signature)) return true;
    ++counters_.forged;
    ++forged_in_page_;
    return false;
}

template bool Swim::Machine::genuine(Instant now, const Statement& claim, Source source);
template bool Swim::Machine::genuine(Instant now, const ProgressRecord& claim, Source source);

void Swim::Machine::set_record(Instant now, ByteView bytes, bool decides) {
    advance(now);
    STARLING_CHECK(bytes.size() <= kRecordMax);
    ProgressRecord record;
    record.owner = self_;
    record.epoch = incarnation_.epoch;
    record.bytes.assign(bytes.begin(), bytes.end());
    const auto* last = records_.find(self_);
    if (last != nullptr && last->epoch >= record.epoch) {
        record.epoch = last->epoch;
        record.version = last->version;
    }
    advance_version(record);
    const auto members = static_cast<std::int64_t>(table_.up_count());
    const auto every = std::max(kSignEvery, kSignEveryPerMember * members);
    // The first of each epoch is signed, too: others take an unsigned one only after that.
    const auto* said = records_.find_signed(self_);
    const bool first = !signed_at_ || said == nullptr || said->epoch != record.epoch;
    if (decides || first || now - *signed_at_ >= every) {
        signed_at_ = now;
        sign(record);
    }
    records_.merge(record, true);
    rumours_.push(record);
    arm_on_demand(now);
}

void Swim::Machine::sign(ProgressRecord& record) {
    record.is_signed = true;
    record.salt = salt_;
    record.key = notary_->key();
    record.signature = notary_->sign(signed_text(record, config_.swarm));
}

void Swim::Machine::on_record(Instant now, const ProgressRecord& record, Source source) {
    if (record.owner == self_) return on_record_of_self(now, record, source);
    if (!records_.is_news(record)) return;
    if (!is_known(record.owner, source)) {
        ++counters_.unvouched;
        return;
    }
    if (record.is_signed && !genuine(now, record, source)) return;
    records_.merge(record, table_.find(record.owner).has_value());
    rumours_.push(record);
    events_.push_back({EventKind::Record, record.owner});
}

/// Anybody can invent a peer and sign for it. So the records of peers that are gone count only if we
/// have had them as members, or if a newcomer hears of them from the member that it has met first.
bool Swim::Machine::is_known(const PeerId& owner, Source source) const {
    return source == Source::FirstPage || table_.find(owner).has_value() ||
           departed_.find(owner) != nullptr || records_.find_signed(owner) != nullptr;
}

void Swim::Machine::on_record_of_self(Instant now, const ProgressRecord& record, Source source) {
    // What others only show in our name is no word of ours.
    if (!record.is_signed || !records_.is_news(record) || !genuine(now, record, source)) return;
    const auto* ours = records_.find_signed(self_);
    if (ours == nullptr) {
        // From an earlier life; the next set_record goes above it.
        records_.merge(record, true);
        events_.push_back({EventKind::Record, self_});
        return;
    }
    ProgressRecord again = *ours;
    // An earlier life counted further than we do: what we say now must win all the same.
    again.epoch = record.epoch;
    again.version = record.version;
    advance_version(again);
    sign(again);
    records_.merge(again, true);
    rumours_.push(again);
}

}  // namespace starling::membership
