#include "membership/unproven.hpp"

#include <algorithm>

namespace starling::membership {

Unproven::Entry& Unproven::hold(Instant now, const Statement& claim) {
    const auto [place, added] = entries_.try_emplace(claim.subject);
    place->second.claim = claim;
    if (!added) return place->second;
    place->second.order = ++held_;
    place->second.ask_at = now;
    if (entries_.size() > kUnprovenMax) {
        entries_.erase(std::min_element(
            entries_.begin(),
            entries_.end(),
            [](const auto& a, const auto& b) { return a.second.order < b.second.order; }
        ));
    }
    return place->second;
}

Unproven::Entry* Unproven::find(const PeerId& id) {
    const auto found = entries_.find(id);
    return found == entries_.end() ? nullptr : &found->second;
}

const Unproven::Entry* Unproven::resolve(const ShortId& id) const {
    if (entries_.empty()) return nullptr;
    const auto found = entries_.lower_bound(first_with(id));
    if (found == entries_.end() || ShortId(found->first) != id) return nullptr;
    return &found->second;
}

std::optional<Unproven::Entry> Unproven::take(const PeerId& id) {
    auto node = entries_.extract(id);
    if (node.empty()) return std::nullopt;
    return std::move(node.mapped());
}

std::optional<Unproven::Entry> Unproven::next_to_ask(Instant now, Duration interval) {
    std::erase_if(entries_, [now](const auto& entry) {
        return entry.second.asked >= kAskedMax && entry.second.ask_at <= now;
    });
    Entry* chosen = nullptr;
    for (auto& [id, entry] : entries_) {
        if (entry.ask_at > now) continue;
        const bool less = chosen == nullptr || entry.asked < chosen->asked ||
                          (entry.asked == chosen->asked && entry.order < chosen->order);
        if (less) chosen = &entry;
    }
    if (chosen == nullptr) return std::nullopt;
    // Never twice in a row: each wait is twice the last.
    chosen->ask_at = now + interval * (std::int64_t{1} << chosen->asked);
    ++chosen->asked;
    return *chosen;
}

}  // namespace starling::membership
