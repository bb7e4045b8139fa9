#include "membership/member_table.hpp"

#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "base/rng.hpp"
#include "membership/config.hpp"

namespace starling::membership {

namespace {

constexpr std::size_t kIndexMin = 16;
/// The low bits of a slot of the index hold place + 1, the others the highest bits of the hash.
constexpr unsigned kPlaceBits = 21;
constexpr unsigned kHashShift = 64 - (32 - kPlaceBits);
constexpr std::uint32_t kPlaceMask = (std::uint32_t{1} << kPlaceBits) - 1;
static_assert(kMembersMax <= kPlaceMask);

/// Returns what one member adds to the digest.
std::uint64_t digest_of(const Member& member) {
    if (!is_up(member.state)) return 0;
    std::uint64_t hash = mix64(member.incarnation.epoch);
    hash = mix64(hash ^ member.incarnation.counter);
    for (std::size_t i = 0; i < member.id.bytes.size(); i += 8) {
        // Byte by byte, so that peers of either byte order agree.
        std::uint64_t word = 0;
        for (std::size_t k = 0; k < 8; ++k) word = (word << 8U) | member.id.bytes[i + k];
        hash = mix64(hash ^ word);
    }
    return hash;
}

}  // namespace

MergeAction merge_action(const Verdict* known, const Verdict& incoming) {
    if (known == nullptr) return MergeAction::Insert;
    return *known < incoming ? MergeAction::Replace : MergeAction::Ignore;
}

bool MemberTable::would_change(const Statement& statement) const {
    const auto place = place_of(statement.subject);
    const bool accuses = is_accusation(statement.state);
    if (place == kNowhere) return !accuses && entries_.size() < kMembersMax;
    const auto& entry = entries_[place];
    if (accuses && entry.claim->incarnation != statement.incarnation) return false;
    const Verdict known{entry.claim->incarnation, entry.state};
    return merge_action(&known, verdict_of(statement)) == MergeAction::Replace;
}

std::optional<MemberTable::Change> MemberTable::apply(Instant now, const Statement& statement) {
    if (!would_change(statement)) return std::nullopt;
    const auto place = place_of(statement.subject);
    if (place == kNowhere) return insert(now, statement);
    auto& entry = entries_[place];
    Change change{member_of(entry), {}};
    if (!is_accusation(statement.state)) {
        // A process that has just started has forgotten what it knew of us.
        const auto& before = *entry.claim;
        const bool same_life = before.incarnation.epoch == statement.incarnation.epoch &&
                               before.tail == statement.tail;
        if (!same_life) entry.hearing = Hearing::Doubted;
        if (before.address != statement.address) entry.timing = {};
        entry.claim = pool_->intern(statement);
    }
    if (entry.state != statement.state) entry.since = now;
    --count_of(entry.state);
    entry.state = statement.state;
    ++count_of(entry.state);
    change.after = member_of(entry);
    note_digest(change.after.id, digest_of(*change.before) ^ digest_of(change.after));
    return change;
}

MemberTable::Change MemberTable::insert(Instant now, const Statement& claim) {
    Entry entry;
    entry.claim = pool_->intern(claim);
    entry.since = now;
    entry.state = claim.state;
    entries_.push_back(std::move(entry));
    if (2 * entries_.size() > index_.size()) {
        rebuild_index(std::max(kIndexMin, 2 * index_.size()));
    } else {
        add_to_index(entries_.size() - 1);
    }
    const Change change{std::nullopt, member_of(entries_.back())};
    ++count_of(claim.state);
    note_digest(change.after.id, digest_of(change.after));
    return change;
}

std::vector<Member> MemberTable::forget(Instant now, Duration life, const PeerId& self) {
    std::vector<Member> gone;
    const auto expired = [&](const Entry& entry) {
        return !is_up(entry.state) && now - entry.since >= life && entry.claim->subject != self;
    };
    for (const auto& entry : entries_) {
        if (!expired(entry)) continue;
        gone.push_back(member_of(entry));
        --count_of(entry.state);
    }
    if (gone.empty()) return gone;
    std::erase_if(entries_, expired);
    rebuild_index(index_.size());
    return gone;
}

void MemberTable::note_digest(const PeerId& id, std::uint64_t change) {
    digest_ ^= change;
    slices_[slice_of(id)] ^= change;
}

Slices MemberTable::differing(std::span<const std::uint64_t> digests) const {
    STARLING_CHECK(digests.size() == kSlices);
    Slices differing = 0;
    for (std::size_t i = 0; i < kSlices; ++i) {
        if (digests[i] != slices_[i]) differing |= Slices{1} << i;
    }
    return differing;
}

void MemberTable::set_reach(const PeerId& id, bool udp_out, bool udp_in) {
    const auto place = place_of(id);
    if (place == kNowhere) return;
    entries_[place].udp_out = udp_out;
    entries_[place].udp_in = udp_in;
}

void MemberTable::set_hearing(const PeerId& id, Hearing hearing) {
    const auto place = place_of(id);
    if (place != kNowhere) entries_[place].hearing = hearing;
}

MemberTable::Hearing MemberTable::hearing(const ShortId& id) const {
    const auto place = place_of(id);
    return place == kNowhere ? Hearing::Doubted : entries_[place].hearing;
}

void MemberTable::forget_hearing() {
    for (auto& entry : entries_) entry.hearing = Hearing::Unknown;
}

void MemberTable::note_round_trip(const PeerId& id, Duration round_trip) {
    const auto place = place_of(id);
    if (place != kNowhere) entries_[place].timing.sample(round_trip);
}

PairTiming MemberTable::timing(const ShortId& id) const {
    const auto place = place_of(id);
    return place == kNowhere ? PairTiming{} : entries_[place].timing;
}

bool MemberTable::set_in_round(const ShortId& id, bool in_round) {
    const auto place = place_of(id);
    return place != kNowhere && std::exchange(entries_[place].in_round, in_round);
}

std::optional<Member> MemberTable::find(const PeerId& id) const {
    const auto place = place_of(id);
    if (place == kNowhere) return std::nullopt;
    return member_of(entries_[place]);
}

std::optional<Member> MemberTable::resolve(const ShortId& id) const {
    const auto place = place_of(id);
    if (place == kNowhere) return std::nullopt;
    return member_of(entries_[place]);
}

const PeerId* MemberTable::id_of(const ShortId& id) const {
    const auto place = place_of(id);
    return place == kNowhere ? nullptr : &entries_[place].claim->subject;
}

const Statement& MemberTable::claim_of(const PeerId& id) const {
    const auto place = place_of(id);
    STARLING_CHECK(place != kNowhere);
    return *entries_[place].claim;
}

Member MemberTable::at(std::size_t index) const {
    return member_of(entries_[index]);
}

Member MemberTable::member_of(const Entry& entry) {
    const auto& claim = *entry.claim;
    return {
        claim.subject,
        claim.address,
        claim.incarnation,
        entry.state,
        entry.udp_out,
        entry.udp_in,
        entry.since};
}

template <class Id>
std::size_t MemberTable::place_of(std::uint64_t prefix, const Id& id) const {
    if (index_.empty()) return kNowhere;
    const auto hash = mix64(prefix);
    const auto mask = index_.size() - 1;
    for (auto slot = hash & mask; index_[slot] != 0; slot = (slot + 1) & mask) {
        if (index_[slot] >> kPlaceBits != hash >> kHashShift) continue;
        const std::size_t place = (index_[slot] & kPlaceMask) - 1;
        const Id& known = entries_[place].claim->subject;
        if (known == id) return place;
    }
    return kNowhere;
}

std::size_t MemberTable::place_of(const ShortId& id) const {
    return place_of(id.value, id);
}

std::size_t MemberTable::place_of(const PeerId& id) const {
    return place_of(id.prefix64(), id);
}

void MemberTable::add_to_index(std::size_t place) {
    const auto hash = mix64(entries_[place].claim->subject.prefix64());
    const auto mask = index_.size() - 1;
    auto slot = hash & mask;
    while (index_[slot] != 0) slot = (slot + 1) & mask;
    index_[slot] = static_cast<std::uint32_t>(hash >> kHashShift << kPlaceBits | (place + 1));
}

void MemberTable::rebuild_index(std::size_t slots) {
    index_.assign(slots, 0);
    for (std::size_t place = 0; place < entries_.size(); ++place) add_to_index(place);
}

Member MemberList::operator[](std::size_t index) const {
    return table_->at(index);
}

std::size_t MemberList::size() const {
    return table_->size();
}

}  // namespace starling::membership
