// Progress records, ours and those of others, and whether a signature is worth its time.

#include <algorithm>
#include <chrono>

#include "base/check.hpp"
#include "membership/codec.hpp"
#include "membership/machine.hpp"

namespace starling::membership {

namespace {

/// Bytes a second of our own record on pings and acks, per member above kRideMembers, and at most; with the
/// probe interval of the profile `lan`.
constexpr double kRideBytes = 130.0;
constexpr double kRideBytesPerMember = 0.7;
constexpr double kRideMembers = 16.0;
constexpr double kRideBytesMax = 450.0;
constexpr double kRideBurst = 1300.0;
/// Up to so many members are told in turn; in a larger swarm whoever is met.
constexpr std::size_t kToldMax = 64;
/// What decides is told by its owner to so many members directly. A rumour of 16 members costs 128 copies for the 15
/// that do not know it yet; so it costs 15, and 30 that make up for datagrams that get lost: who misses what decides
/// trains on what others train on, until it hears of it.
constexpr std::size_t kToldDirectlyMax = 32;
constexpr std::size_t kPassedOn = 2;
/// Among so few, not much comes back on other ways.
constexpr std::size_t kFewMembers = 8;
/// By then a newcomer and the members know each other.
constexpr Duration kIntroduced = std::chrono::milliseconds(1500);
/// A peer that joins, or measures its speed anew, changes its record several times in a second or two. What follows
/// within this time is told together.
constexpr Duration kTellGap = std::chrono::milliseconds(300);
/// Above this share of direct probes that get lost, it is passed on more often.
constexpr double kLossyShare = 0.05;
constexpr std::size_t kPassedOnInLoss = 3;
/// A member is told again after this share of the time that telling all takes: it is not met at any time.
constexpr double kTurnShare = 0.8;
/// A rumour has reached all by then.
constexpr Duration kRumourTime = std::chrono::seconds(3);
/// Nobody is told again sooner.
constexpr Duration kTellEvery = std::chrono::seconds(5);
/// With it, counters are usually no older than this, in a small swarm.
constexpr Duration kIntervalMin = std::chrono::seconds(10);
/// A record that changes nothing which others decide from is signed so often, in a swarm of n the
/// longer of these: so all records of a large swarm together stay below 20 signatures a second.
constexpr Duration kSignEvery = std::chrono::seconds(1);
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
    // The first of each epoch is signed, too: others take no other before that.
    const auto* said = records_.find_signed(self_);
    const bool first = said == nullptr || said->epoch != record.epoch;
    const auto members = static_cast<std::int64_t>(table_.up_count());
    const auto every = std::max(kSignEvery, kSignEveryPerMember * members);
    const bool told = decides || first;
    if (told || !signed_at_ || now - *signed_at_ >= every) {
        signed_at_ = now;
        sign(record);
    }
    records_.merge(record, true, now);
    if (!told) return;
    if (armed(Timer::Tell)) return;
    const auto due = std::max(decided_at_, life_since_) + kTellGap;
    if (due > now) return arm(Timer::Tell, due);
    on_tell(now);
}

/// Tells what others decide from: our newest signed record.
void Swim::Machine::on_tell(Instant now) {
    const auto* record = records_.find_signed(self_);
    if (record == nullptr || left_) return;
    decided_at_ = now;
    if (!tell_directly(*record)) rumours_.push(*record);
    arm_on_demand(now);
}

/// Tells all members what decides, if they are few. Returns whether it did.
bool Swim::Machine::tell_directly(const ProgressRecord& record) {
    const auto alive = table_.count(MemberState::Alive);
    if (alive < 2 || alive > kToldDirectlyMax || now_ - life_since_ < kIntroduced) return false;
    const Message told[] = {record};
    bool young = false;
    for (const auto& member : table_.members()) {
        if (member.state != MemberState::Alive || member.id == self_) continue;
        send(member.address, member.id, told);
        // It has our counters, too. A newcomer may not know us yet, and not take what we say of ourselves.
        told_[member.id.prefix64()] = now_;
        young = young || now_ - member.since < kIntroduced;
    }
    const bool once_more = young || alive <= kFewMembers;
    rumours_.pass_on(record, once_more ? kPassedOnInLoss : kPassedOn);
    return true;
}

double Swim::Machine::ride_rate() const {
    const auto members = static_cast<double>(table_.up_count());
    const double more = kRideBytesPerMember * std::max(0.0, members - kRideMembers);
    return std::min(kRideBytes + more, kRideBytesMax) / to_seconds(config_.probe_interval);
}

/// Counters, losses and the like ride on pings and acks: the owner tells each member itself, which
/// nobody passes on. So every copy tells somebody who does not know it, and a swarm of any size costs each
/// member the same. What decides does not wait for that: it is a rumour.
void Swim::Machine::add_own_record(const Member& to, std::vector<Message>& out, std::size_t room) {
    // A rumour is still about, and the member hears it anyway.
    if (left_ || now_ - decided_at_ < kRumourTime) return;
    const auto* record = records_.find_signed(self_);
    if (record == nullptr) return;
    const auto size = wire_size(*record);
    const auto rate = ride_rate();
    ride_bytes_ = std::min(kRideBurst, ride_bytes_ + rate * to_seconds(now_ - ride_at_));
    ride_at_ = now_;
    if (size > room || ride_bytes_ < static_cast<double>(size)) return;
    const auto members = table_.up_count();
    if (members <= kToldMax) {
        // In turn, so that nobody waits much longer than others.
        const auto turn = static_cast<double>(members * size) / rate * kTurnShare;
        if (told_.size() > 2 * kToldMax) told_.clear();
        const auto [told, first] = told_.try_emplace(to.id.prefix64(), now_);
        if (!first && now_ - told->second < std::max<Duration>(kTellEvery, from_seconds(turn))) {
            return;
        }
        told->second = now_;
    }
    ride_bytes_ -= static_cast<double>(size);
    out.emplace_back(*record);
}

/// A member is met twice in a round of probes, and told at least every third time.
Duration Swim::Machine::record_interval() const {
    const auto members = static_cast<std::int64_t>(table_.up_count());
    return std::max<Duration>(kIntervalMin, 2 * members * config_.probe_interval);
}

void Swim::Machine::sign(ProgressRecord& record) {
    record.is_signed = true;
    record.salt = salt_;
    record.key = notary_->key();
    record.signature = notary_->sign(signed_text(record, config_.swarm));
}

void Swim::Machine::on_record(
    Instant now, const ProgressRecord& record, Source source, Teller teller
) {
    if (record.owner == self_) return on_record_of_self(now, record, source);
    if (!records_.is_news(record)) return;
    if (!is_known(record.owner, source)) {
        // Kept for the moment at which its owner is proven: it may not say this again for long.
        auto* apart = record.is_signed ? unproven_.find(record.owner) : nullptr;
        if (apart != nullptr) {
            apart->record = record;
        } else {
            ++counters_.unvouched;
        }
        return;
    }
    if (record.is_signed && !genuine(now, record, source)) return;
    const bool spreads = is_news_to_others(now, record, source, teller);
    records_.merge(record, table_.find(record.owner).has_value(), now);
    const bool directly = teller == Teller::Owner && source == Source::Rumour &&
                          table_.count(MemberState::Alive) <= kToldDirectlyMax;
    if (spreads && directly) {
        const bool lossy = path_loss_.share() > kLossyShare;
        rumours_.pass_on(record, lossy ? kPassedOnInLoss : kPassedOn);
    } else if (spreads) {
        rumours_.push(record);
    }
    events_.push_back({EventKind::Record, record.owner});
}

/// What its owner tells us in a probe, it tells everybody itself. The same holds for what a page has of an owner
/// whom we hear regularly; after a cut we do not. What a newcomer reads first is news to few others, but peers
/// of a small swarm that start together have met only their seed.
bool Swim::Machine::is_news_to_others(
    Instant now, const ProgressRecord& record, Source source, Teller teller
) const {
    if (source == Source::Rumour) return teller != Teller::OwnerInProbe;
    if (source == Source::FirstPage) return table_.size() <= kToldMax;
    const auto heard = records_.heard(record.owner);
    return !heard || now - *heard > 2 * record_interval();
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
        records_.merge(record, true, now);
        events_.push_back({EventKind::Record, self_});
        return;
    }
    ProgressRecord again = *ours;
    // An earlier life counted further than we do: what we say now must win all the same.
    again.epoch = record.epoch;
    again.version = record.version;
    advance_version(again);
    sign(again);
    records_.merge(again, true, now);
    rumours_.push(again);
}

}  // namespace starling::membership
