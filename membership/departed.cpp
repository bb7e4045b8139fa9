#include "membership/departed.hpp"

#include <algorithm>
#include <iterator>

#include "base/check.hpp"

namespace starling::membership {

namespace {

/// Drops the entry that is there longest.
template <class Map>
void drop_oldest(Map& map) {
    const auto oldest = std::min_element(map.begin(), map.end(), [](const auto& a, const auto& b) {
        return a.second.since < b.second.since;
    });
    map.erase(oldest);
}

}  // namespace

void Departed::add(Instant now, const Member& member) {
    departed_.insert_or_assign(member.id, Entry{verdict_of(member), member.address, now});
    if (departed_.size() > kDepartedMax) drop_oldest(departed_);
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

void Lost::add(Instant now, const Member& member) {
    lost_.insert_or_assign(member.id, Entry{member.address, now});
    if (lost_.size() > kLostMax) drop_oldest(lost_);
}

void Lost::remove(const PeerId& id) {
    lost_.erase(id);
}

std::pair<PeerId, Endpoint> Lost::pick(Rng& rng) const {
    STARLING_CHECK(!lost_.empty());
    const auto steps = static_cast<std::ptrdiff_t>(rng.below(lost_.size()));
    const auto chosen = std::next(lost_.begin(), steps);
    return {chosen->first, chosen->second.address};
}

Duration Lost::retry_after(Instant now, Duration probe_interval) const {
    Instant newest{};
    for (const auto& [id, entry] : lost_) newest = std::max(newest, entry.since);
    return std::clamp((now - newest) / 8, 2 * probe_interval, 30 * probe_interval);
}

}  // namespace starling::membership
