#include "membership/suspicion.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

namespace starling::membership {

namespace {

/// Confirmations wanted: two fewer than the multiplier, as memberlist has it, because the two
/// probe periods that the first accuser needed are part of the multiplier.
constexpr double kMultiplierAboveConfirmations = 2.0;
/// What is left of the shortest timeout after one confirmation more than wanted.
constexpr double kSureShare = 0.7;
/// The same with a second accuser, if we have seen a refusal ourselves. Others have seen none, and a verdict is
/// hearsay to them until their suspicions are ripe: a little later than that, all agree at once. If they agreed only
/// after a second, heirs would take over what others still count as the dead one's.
constexpr double kRefusedShare = 0.6;
/// Where fewer confirmations are wanted, one more than wanted proves too little.
constexpr std::uint32_t kSureFrom = 2;
/// Deadlines kept for each suspicion, stale ones included.
constexpr std::size_t kDeadlinesPerSuspicion = 8;

}  // namespace

Duration suspicion_timeout(const SwimConfig& config, std::size_t n) {
    const double scale = std::max(1.0, std::log10(std::max(1.0, static_cast<double>(n))));
    return from_seconds(config.suspicion_mult * scale * to_seconds(config.probe_interval));
}

SuspicionBounds suspicion_bounds(const SwimConfig& config, std::size_t n, std::size_t up) {
    SuspicionBounds bounds;
    bounds.min = suspicion_timeout(config, n);
    bounds.max = bounds.min;
    const double wanted = std::floor(config.suspicion_mult - kMultiplierAboveConfirmations);
    // Neither we nor the suspect can confirm.
    if (wanted < 1.0 || static_cast<double>(up) < wanted + 2.0) return bounds;
    bounds.confirmations = static_cast<std::uint32_t>(wanted);
    bounds.max = from_seconds(config.suspicion_max_mult * to_seconds(bounds.min));
    return bounds;
}

Duration confirmed_timeout(const SuspicionBounds& bounds, std::uint32_t confirmations) {
    if (bounds.confirmations >= kSureFrom && confirmations > bounds.confirmations) {
        return from_seconds(kSureShare * to_seconds(bounds.min));
    }
    if (bounds.confirmations == 0 || confirmations >= bounds.confirmations) return bounds.min;
    const double share = std::log(confirmations + 1.0) / std::log(bounds.confirmations + 1.0);
    const double range = to_seconds(bounds.max - bounds.min);
    return std::max(bounds.min, bounds.max - from_seconds(range * share));
}

void Suspicions::start(
    const PeerId& id, Instant now, const SuspicionBounds& bounds, const PeerId& accuser
) {
    cancel(id);
    auto& suspicion = open_[id];
    suspicion.since = now;
    suspicion.floor = now;
    suspicion.bounds = bounds;
    suspicion.accusers.push_back(accuser);
    move(id, suspicion);
}

/// Gives the suspicion the deadline that its accusers and its floor ask for.
void Suspicions::move(const PeerId& id, Suspicion& suspicion) {
    const auto confirmations = static_cast<std::uint32_t>(suspicion.accusers.size() - 1);
    auto time = confirmed_timeout(suspicion.bounds, confirmations);
    if (confirmations > 0 && suspicion.verdict) time = std::min(time, ripe_after(suspicion));
    if (confirmations > 0 && suspicion.refused) {
        time = std::min(time, from_seconds(kRefusedShare * to_seconds(suspicion.bounds.min)));
    }
    const auto deadline = std::max(suspicion.since + time, suspicion.floor);
    if (deadline == suspicion.deadline) return;
    suspicion.deadline = deadline;
    deadlines_.emplace_back(suspicion.deadline, id);
    std::push_heap(deadlines_.begin(), deadlines_.end(), std::greater<>());
    drop_stale();
}

bool Suspicions::stale(const std::pair<Instant, PeerId>& deadline) const {
    const auto found = open_.find(deadline.second);
    return found == open_.end() || found->second.deadline != deadline.first;
}

void Suspicions::drop_stale() {
    if (deadlines_.size() > kDeadlinesPerSuspicion * (open_.size() + 1)) {
        deadlines_.clear();
        for (const auto& [id, open] : open_) deadlines_.emplace_back(open.deadline, id);
        std::make_heap(deadlines_.begin(), deadlines_.end(), std::greater<>());
    }
    while (!deadlines_.empty() && stale(deadlines_.front())) {
        std::pop_heap(deadlines_.begin(), deadlines_.end(), std::greater<>());
        deadlines_.pop_back();
    }
}

void Suspicions::cancel(const PeerId& id) {
    if (open_.erase(id) > 0) drop_stale();
}

bool Suspicions::confirm(const PeerId& id, const PeerId& accuser) {
    const auto found = open_.find(id);
    if (found == open_.end()) return false;
    auto& suspicion = found->second;
    if (!wants(suspicion, accuser)) return false;
    suspicion.accusers.push_back(accuser);
    move(id, suspicion);
    return true;
}

bool Suspicions::wants(const Suspicion& suspicion, const PeerId& accuser) {
    const auto& accusers = suspicion.accusers;
    const auto wanted = suspicion.bounds.confirmations;
    if (accusers.size() > wanted + (wanted >= kSureFrom ? 1 : 0)) return false;
    return std::find(accusers.begin(), accusers.end(), accuser) == accusers.end();
}

std::optional<std::size_t> Suspicions::wants(const PeerId& id, const PeerId& accuser) const {
    const auto found = open_.find(id);
    if (found == open_.end() || !wants(found->second, accuser)) return std::nullopt;
    return found->second.accusers.size();
}

const PeerId* Suspicions::accuser(const PeerId& id) const {
    const auto found = open_.find(id);
    return found == open_.end() ? nullptr : &found->second.accusers.front();
}

std::size_t Suspicions::confirmed() const {
    const auto count = std::count_if(open_.begin(), open_.end(), [](const auto& entry) {
        return entry.second.accusers.size() > 1;
    });
    return static_cast<std::size_t>(count);
}

Duration Suspicions::ripe_after(const Suspicion& suspicion) {
    return suspicion.bounds.min / 2;
}

bool Suspicions::ripe(const PeerId& id, Instant now) const {
    const auto found = open_.find(id);
    return found != open_.end() && now - found->second.since >= ripe_after(found->second);
}

void Suspicions::note_refused(const PeerId& id) {
    const auto found = open_.find(id);
    if (found == open_.end()) return;
    found->second.refused = true;
    move(id, found->second);
}

void Suspicions::note_verdict(const PeerId& id) {
    const auto found = open_.find(id);
    if (found == open_.end()) return;
    found->second.verdict = true;
    move(id, found->second);
}

void Suspicions::tighten(const SuspicionBounds& bounds) {
    for (auto& [id, suspicion] : open_) {
        auto& own = suspicion.bounds;
        if (bounds.min > own.min || bounds.confirmations > own.confirmations) continue;
        own = bounds;
        move(id, suspicion);
    }
}

void Suspicions::postpone(Instant earliest) {
    for (auto& [id, suspicion] : open_) {
        suspicion.floor = std::max(suspicion.floor, earliest);
        move(id, suspicion);
    }
}

std::optional<PeerId> Suspicions::take_expired(Instant now) {
    if (deadlines_.empty() || deadlines_.front().first > now) return std::nullopt;
    const PeerId id = deadlines_.front().second;
    cancel(id);
    return id;
}

std::optional<Instant> Suspicions::next_deadline() const {
    if (deadlines_.empty()) return std::nullopt;
    return deadlines_.front().first;
}

}  // namespace starling::membership
