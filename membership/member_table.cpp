#include "membership/member_table.hpp"

#include <algorithm>

#include "base/rng.hpp"

namespace starling::membership {

namespace {

bool id_less(const Member& member, const PeerId& id) {
    return member.id < id;
}

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
    const auto place =
        std::lower_bound(members_.begin(), members_.end(), statement.subject, id_less);
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
    if (!gone.empty()) std::erase_if(members_, expired);
    return gone;
}

void MemberTable::set_reach(const PeerId& id, bool udp_out, bool udp_in) {
    const auto place = std::lower_bound(members_.begin(), members_.end(), id, id_less);
    if (place == members_.end() || place->id != id) return;
    place->udp_out = udp_out;
    place->udp_in = udp_in;
}

const Member* MemberTable::find(const PeerId& id) const {
    const auto place = std::lower_bound(members_.begin(), members_.end(), id, id_less);
    return place != members_.end() && place->id == id ? &*place : nullptr;
}

}  // namespace starling::membership
