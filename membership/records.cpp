#include "membership/records.hpp"

#include <tuple>

#include "membership/codec.hpp"

namespace starling::membership {

void advance_version(ProgressRecord& record) {
    if (++record.version < kCounterMax) return;
    record.version = 0;
    ++record.epoch;
}

bool Records::is_news(const ProgressRecord& record) const {
    const auto found = entries_.find(record.owner);
    if (found == entries_.end()) return record.is_signed;
    const auto& last = found->second.record;
    const auto& shown = found->second.shown;
    const auto order = std::tie(record.epoch, record.version);
    if (std::tie(last.epoch, last.version) >= order) return false;
    if (record.is_signed) return true;
    if (shown && shown->version >= record.version) return false;
    return last.epoch == record.epoch && record.version - last.version <= kUnsignedAheadMax;
}

bool Records::merge(const ProgressRecord& record, bool present, Instant now) {
    if (!is_news(record)) return false;
    const auto [place, added] = entries_.try_emplace(record.owner);
    auto& entry = place->second;
    entry.heard = now;
    if (record.is_signed) {
        entry.record = record;
        entry.shown.reset();
    } else {
        entry.shown = record;
    }
    if (added && !present) mark_gone(record.owner, entry);
    return true;
}

void Records::owner_present(const PeerId& owner) {
    const auto found = entries_.find(owner);
    if (found == entries_.end()) return;
    gone_.erase(found->second.gone);
    found->second.gone = 0;
}

void Records::owner_gone(const PeerId& owner) {
    const auto found = entries_.find(owner);
    if (found != entries_.end() && found->second.gone == 0) mark_gone(owner, found->second);
}

const ProgressRecord* Records::find(const PeerId& owner) const {
    const auto found = entries_.find(owner);
    if (found == entries_.end()) return nullptr;
    return found->second.shown ? &*found->second.shown : &found->second.record;
}

const ProgressRecord* Records::find_signed(const PeerId& owner) const {
    const auto found = entries_.find(owner);
    return found == entries_.end() ? nullptr : &found->second.record;
}

std::optional<Instant> Records::heard(const PeerId& owner) const {
    const auto found = entries_.find(owner);
    if (found == entries_.end()) return std::nullopt;
    return found->second.heard;
}

std::vector<PeerId> Records::owners() const {
    std::vector<PeerId> owners;
    owners.reserve(entries_.size());
    for (const auto& [owner, entry] : entries_) owners.push_back(owner);
    return owners;
}

void Records::mark_gone(const PeerId& owner, Entry& entry) {
    entry.gone = ++gone_sequence_;
    gone_.emplace(entry.gone, owner);
    if (gone_.size() <= kGoneRecordsMax) return;
    const auto oldest = gone_.begin();
    entries_.erase(oldest->second);
    gone_.erase(oldest);
}

}  // namespace starling::membership
