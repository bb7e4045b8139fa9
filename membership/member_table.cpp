#include "membership/member_table.hpp"

#include <algorithm>

#include "base/rng.hpp"

namespace starling::membership {

namespace {

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

std::optional<MemberTable::Change> MemberTable::apply(Instant now, const Statement& statement) {
    const auto index = place_of(statement.subject);
    const auto place = members_.begin() + static_cast<std::ptrdiff_t>(index);
    const bool known = place != members_.end() && place->id == statement.subject;
    const Verdict verdict = known ? verdict_of(*place) : Verdict{};
    const auto action = merge_action(known ? &verdict : nullptr, verdict_of(statement));
    if (action == MergeAction::Ignore) return std::nullopt;
    if (action == MergeAction::Insert) {
        if (members_.size() >= kMembersMax) return std::nullopt;
        Member member;
        member.id = statement.subject;
        member.address = statement.address;
        member.incarnation = statement.incarnation;
        member.state = statement.state;
        member.since = now;
        keys_.insert(
            keys_.begin() + static_cast<std::ptrdiff_t>(index), statement.subject.prefix64()
        );
        members_.insert(place, member);
        ++count_of(member.state);
        digest_ ^= digest_of(member);
        return Change{std::nullopt, member};
    }
    Change change{*place, *place};
    auto& after = change.after;
    // Only a new incarnation moves a member: within one, a third party cannot.
    if (after.incarnation != statement.incarnation) after.address = statement.address;
    after.incarnation = statement.incarnation;
    if (after.state != statement.state) after.since = now;
    after.state = statement.state;
    --count_of(place->state);
    ++count_of(after.state);
    digest_ ^= digest_of(*place) ^ digest_of(after);
    *place = after;
    return change;
}

std::vector<Member> MemberTable::forget(Instant now, Duration life, const PeerId& self) {
    std::vector<Member> gone;
    const auto expired = [&](const Member& member) {
        return !is_up(member.state) && member.id != self && now - member.since >= life;
    };
    for (const auto& member : members_) {
        if (!expired(member)) continue;
        gone.push_back(member);
        --count_of(member.state);
    }
    if (gone.empty()) return gone;
    std::erase_if(members_, expired);
    keys_.clear();
    for (const auto& member : members_) keys_.push_back(member.id.prefix64());
    return gone;
}

void MemberTable::set_reach(const PeerId& id, bool udp_out, bool udp_in) {
    const auto place = place_of(id);
    if (place == members_.size() || members_[place].id != id) return;
    members_[place].udp_out = udp_out;
    members_[place].udp_in = udp_in;
}

const Member* MemberTable::find(const PeerId& id) const {
    const auto place = place_of(id);
    return place < members_.size() && members_[place].id == id ? &members_[place] : nullptr;
}

std::size_t MemberTable::place_of(const PeerId& id) const {
    const auto key = id.prefix64();
    const auto first = std::lower_bound(keys_.begin(), keys_.end(), key);
    auto place = static_cast<std::size_t>(first - keys_.begin());
    // Ids are hashes, so equal keys are next to impossible unless somebody made them on purpose.
    while (place < keys_.size() && keys_[place] == key && members_[place].id < id) ++place;
    return place;
}

}  // namespace starling::membership
