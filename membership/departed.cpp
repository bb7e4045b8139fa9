#include "membership/departed.hpp"

#include <algorithm>

#include "base/check.hpp"

namespace starling::membership {

namespace {

/// The longest wait between two tries of one address that failed not long ago, in probe intervals.
constexpr int kRetryMax = 25;

}  // namespace

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
    const auto found = departed_.lower_bound(first_with(id));
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
    lost_.insert(place_of(member.id), {member.id, member.address, now, now});
    if (lost_.size() <= kLostMax) return;
    lost_.erase(std::min_element(lost_.begin(), lost_.end(), [](const Entry& a, const Entry& b) {
        return a.since < b.since;
    }));
}

void Lost::remove(const PeerId& id) {
    const auto place = place_of(id);
    if (place != lost_.end() && place->id == id) lost_.erase(place);
}

/// Those that lived lately are worth most, and those that have been tried in vain least.
bool Lost::worthier(const Entry& a, const Entry& b) {
    if (a.tries != b.tries) return a.tries < b.tries;
    return a.since != b.since ? a.since > b.since : a.next < b.next;
}

std::vector<Lost::Address> Lost::due(Instant now, Duration probe_interval, std::size_t most) {
    std::vector<Entry*> waiting;
    for (auto& entry : lost_) {
        if (entry.next <= now) waiting.push_back(&entry);
    }
    const auto count = std::min(most, waiting.size());
    const auto end = waiting.begin() + static_cast<std::ptrdiff_t>(count);
    std::partial_sort(waiting.begin(), end, waiting.end(), [](const Entry* a, const Entry* b) {
        return worthier(*a, *b);
    });
    std::vector<Address> chosen;
    for (auto at = waiting.begin(); at != end; ++at) {
        auto& entry = **at;
        const auto age = now - entry.since;
        const auto longest = std::max<Duration>(kRetryMax * probe_interval, age / 40);
        entry.next = now + std::clamp<Duration>(age / 8, 2 * probe_interval, longest);
        ++entry.tries;
        chosen.push_back({entry.id, entry.address});
    }
    return chosen;
}

bool Lost::heard(const PeerId& id, Instant now, Duration probe_interval) {
    const auto place = place_of(id);
    if (place == lost_.end() || place->id != id) return false;
    if (place->heard && now - *place->heard < 2 * probe_interval) return false;
    place->heard = now;
    return true;
}

Instant Lost::next_due(Instant now, Duration probe_interval) const {
    auto next = Instant::max();
    for (const auto& entry : lost_) next = std::min(next, entry.next);
    return std::max(next, now + probe_interval);
}

}  // namespace starling::membership
