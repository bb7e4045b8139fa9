#include "membership/departed.hpp"

#include <algorithm>

#include "base/check.hpp"

namespace starling::membership {

void Departed::add(Instant now, const Member& member) {
    departed_.insert_or_assign(member.id, Entry{verdict_of(member), member.address, now});
    if (departed_.size() <= kDepartedMax) return;
    departed_.erase(std::min_element(
        departed_.begin(),
        departed_.end(),
        [](const auto& a, const auto& b) { return a.second.since < b.second.since; }
    ));
}

void Departed::remove(const PeerId& id) {
    departed_.erase(id);
}

void Departed::expire(Instant now, Duration life) {
    std::erase_if(departed_, [&](const auto& entry) { return now - entry.second.since >= life; });
}

const Departed::Entry* Departed::find(const PeerId& id) const {
    const auto found = departed_.find(id);
    return found == departed_.end() ? nullptr : &found->second;
}

std::optional<PeerId> Departed::resolve(const ShortId& id) const {
    PeerId first;
    for (std::size_t i = 0; i < 8; ++i) {
        first.bytes[i] = static_cast<std::uint8_t>(id.value >> (56 - 8 * i));
    }
    const auto found = departed_.lower_bound(first);
    if (found == departed_.end() || ShortId(found->first) != id) return std::nullopt;
    return found->first;
}

Lost::Entries::iterator Lost::place_of(const PeerId& id) {
    return std::lower_bound(
        lost_.begin(),
        lost_.end(),
        id,
        [](const Entry& entry, const PeerId& wanted) { return entry.id < wanted; }
    );
}

void Lost::add(Instant now, const Member& member) {
    remove(member.id);
    lost_.insert(place_of(member.id), {member.id, member.address, now});
    if (lost_.size() <= kLostMax) return;
    lost_.erase(std::min_element(lost_.begin(), lost_.end(), [](const Entry& a, const Entry& b) {
        return a.since < b.since;
    }));
}

void Lost::remove(const PeerId& id) {
    const auto place = place_of(id);
    if (place != lost_.end() && place->id == id) lost_.erase(place);
}

std::pair<PeerId, Endpoint> Lost::pick(Rng& rng) const {
    STARLING_CHECK(!lost_.empty());
    const auto& chosen = lost_[static_cast<std::size_t>(rng.below(lost_.size()))];
    return {chosen.id, chosen.address};
}

Duration Lost::retry_after(Instant now, Duration probe_interval) const {
    Instant newest{};
    for (const auto& entry : lost_) newest = std::max(newest, entry.since);
    return std::clamp((now - newest) / 8, 2 * probe_interval, 30 * probe_interval);
}

}  // namespace starling::membership
