#include "peer/session/epoch_goal.hpp"

#include <algorithm>
#include <cmath>

namespace starling::peer {

namespace {

/// Far above what any peer trains on, and exact in a double.
constexpr double kSamplesMax = 9007199254740992.0;  // 2^53

std::optional<DutyPlace> target_of(const Until& until) {
    if (until.kind != UntilKind::Epochs) return std::nullopt;
    const double whole = std::floor(std::min(until.value, static_cast<double>(kEpochMax)));
    const double part = std::clamp(until.value - whole, 0.0, 1.0);
    const auto key = static_cast<std::uint16_t>(std::min(65535.0, std::floor(part * 65536.0)));
    return DutyPlace{static_cast<std::uint32_t>(whole), key};
}

}  // namespace

EpochGoal::EpochGoal(const Until& until, std::uint32_t batch)
    : target_(target_of(until)),
      batch_(batch) {}

bool EpochGoal::due(std::uint64_t own, std::uint64_t version) const {
    return target_ && (!limit_ || version != version_ || own + batch_ > *limit_);
}

bool EpochGoal::update(std::uint64_t own, std::uint64_t version, double left) {
    version_ = version;
    // A step takes a whole batch, so the last one may reach into the next epoch.
    const auto batches = std::ceil(std::min(left, kSamplesMax) / static_cast<double>(batch_));
    const auto wanted = own + static_cast<std::uint64_t>(batches) * batch_;
    if (limit_ == wanted) return false;
    limit_ = wanted;
    return true;
}

std::optional<std::uint64_t> EpochGoal::limit() const {
    if (!target_) return std::nullopt;
    return limit_.value_or(0);
}

bool EpochGoal::used_up(std::uint64_t own) const {
    return target_ && own + batch_ > limit_.value_or(0);
}

bool EpochGoal::done(std::uint64_t own, std::uint64_t version) const {
    return limit_ && version == version_ && used_up(own);
}

void EpochGoal::note(Instant now, const PeerId& id, std::uint64_t samples, double rate) {
    const auto [word, is_new] = words_.try_emplace(id, Word{samples, rate, now});
    if (is_new || word->second.samples == samples) return;
    word->second = {samples, rate, now};
}

void EpochGoal::hear(Instant now, const PeerId& self, std::uint64_t own, const SwarmView& view) {
    if (!target_) return;
    records_every_ = view.records_every;
    note(now, self, own, 0.0);
    for (const auto& peer : view.others) {
        if (!peer.live()) {
            words_.erase(peer.id);
        } else if (peer.record) {
            note(now, peer.id, peer.record->samples, peer.record->samples_per_s);
        }
    }
}

bool EpochGoal::stuck(Instant now, std::span<const PeerId> peers) const {
    return std::all_of(peers.begin(), peers.end(), [&](const PeerId& id) {
        const auto found = words_.find(id);
        if (found == words_.end()) return false;
        const auto& word = found->second;
        auto patience = std::max<Duration>(kPatience, kUnheard * records_every_);
        if (word.rate > 0.0) {
            const double steps = 4.0 * static_cast<double>(batch_) / word.rate;
            patience = std::max(patience, from_seconds(std::min(steps, 3600.0)));
        }
        return now - word.since > patience;
    });
}

}  // namespace starling::peer
