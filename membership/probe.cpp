#include "membership/probe.hpp"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

namespace starling::membership {

void ProbeOrder::insert(const ShortId& id) {
    const auto position = static_cast<std::size_t>(rng_.below(order_.size() + 1));
    order_.push_back(id);
    // The member that stood there goes to the end, which in a shuffled round is as random a place.
    if (position >= next_) {
        std::swap(order_[position], order_.back());
    } else {
        // The newcomer is placed before the cursor, which must not repeat or skip anybody.
        std::swap(order_[next_], order_.back());
        ++next_;
    }
    if (order_.size() > 2 * size_at_begin_) begin_round();
}

void ProbeOrder::begin_round() {
    rng_.shuffle(std::span<ShortId>(order_));
    next_ = 0;
    size_at_begin_ = order_.size();
}

void RoundTrip::sample(Duration rtt) {
    if (!known_) {
        known_ = true;
        mean_ = rtt;
        deviation_ = rtt / 2;
        return;
    }
    const Duration error = rtt - mean_;
    mean_ += error / 8;
    deviation_ += (std::chrono::abs(error) - deviation_) / 4;
}

Duration RoundTrip::timeout(Duration min, Duration max) const {
    if (!known_) return max;
    return std::clamp(mean_ + 2 * deviation_, min, max);
}

double PathLoss::missed(std::uint32_t helpers) const {
    const double passes = std::sqrt(1.0 - share_);
    const double one_helper = 1.0 - std::pow(passes, 4.0);
    return share_ * std::pow(one_helper, static_cast<double>(helpers));
}

std::optional<ProbeCycle::Probe> ProbeCycle::answer(std::uint64_t id) {
    const auto found = std::find_if(open_.begin(), open_.end(), [&](const Probe& probe) {
        return probe.id == id;
    });
    if (found == open_.end()) return std::nullopt;
    const Probe probe = *found;
    std::erase_if(open_, [&](const Probe& other) { return other.target == probe.target; });
    return probe;
}

std::optional<ProbeCycle::Probe> ProbeCycle::answer_late(std::uint64_t id) {
    const auto found = std::find_if(late_.begin(), late_.end(), [&](const Probe& probe) {
        return probe.id == id;
    });
    if (found == late_.end()) return std::nullopt;
    const Probe probe = *found;
    late_.erase(found);
    return probe;
}

void ProbeCycle::keep_late(const Probe& probe) {
    late_.push_back(probe);
    if (late_.size() > kLateMax) late_.pop_front();
}

std::optional<ProbeCycle::Probe> ProbeCycle::answer_by_stream(const PeerId& target) {
    const auto found = std::find_if(open_.begin(), open_.end(), [&](const Probe& probe) {
        return probe.indirect && probe.target == target;
    });
    if (found == open_.end()) return std::nullopt;
    return answer(found->id);
}

std::optional<ProbeCycle::Probe> ProbeCycle::ask(std::vector<Probe>::iterator probe) {
    if (probe == open_.end()) return std::nullopt;
    probe->indirect = true;
    return *probe;
}

std::optional<ProbeCycle::Probe> ProbeCycle::ask_helpers(Instant now) {
    return ask(std::find_if(open_.begin(), open_.end(), [&](const Probe& probe) {
        return !probe.indirect && probe.ask_at <= now;
    }));
}

std::optional<ProbeCycle::Probe> ProbeCycle::ask_helpers(const PeerId& target) {
    return ask(std::find_if(open_.begin(), open_.end(), [&](const Probe& probe) {
        return !probe.indirect && probe.target == target;
    }));
}

void ProbeCycle::hear(const PeerId& target) {
    for (auto& probe : open_) {
        if (probe.target == target) probe.heard = true;
    }
}

void ProbeCycle::set_helpers(std::uint64_t id, std::vector<ShortId> helpers) {
    for (auto& probe : open_) {
        if (probe.id != id) continue;
        probe.asked = static_cast<std::uint32_t>(helpers.size());
        probe.silent = std::move(helpers);
        return;
    }
}

void ProbeCycle::nack(std::uint64_t id, const ShortId& helper) {
    for (auto& probe : open_) {
        if (probe.id == id) std::erase(probe.silent, helper);
    }
}

const std::vector<ProbeCycle::Probe>& ProbeCycle::finish(Instant now) {
    missed_.clear();
    std::erase_if(open_, [&](const Probe& probe) {
        if (probe.until > now) return false;
        missed_.push_back(probe);
        return true;
    });
    for (const auto& probe : missed_) keep_late(probe);
    return missed_;
}

void ProbeCycle::drop(const PeerId& target) {
    const auto of_target = [&](const Probe& probe) { return probe.target == target; };
    std::erase_if(open_, of_target);
    std::erase_if(late_, of_target);
}

std::optional<Instant> ProbeCycle::next_ask() const {
    std::optional<Instant> next;
    for (const auto& probe : open_) {
        if (!probe.indirect) next = std::min(next.value_or(probe.ask_at), probe.ask_at);
    }
    return next;
}

std::vector<ShortId> ProbeCycle::overdue(Instant sent, std::size_t most) const {
    std::vector<ShortId> members;
    for (const auto& probe : open_) {
        if (members.size() == most) break;
        if (!probe.at_once && (!probe.indirect || probe.sent > sent)) continue;
        const auto same = std::count_if(open_.begin(), open_.end(), [&](const Probe& other) {
            return other.target == probe.target;
        });
        if (same == 1) members.emplace_back(probe.target);
    }
    return members;
}

bool ProbeCycle::has_asked(const PeerId& target) const {
    return std::any_of(open_.begin(), open_.end(), [&](const Probe& probe) {
        return probe.indirect && probe.target == target;
    });
}

bool ProbeCycle::probes(const ShortId& target) const {
    return std::any_of(open_.begin(), open_.end(), [&](const Probe& probe) {
        return ShortId(probe.target) == target;
    });
}

bool Relays::add(std::uint64_t id, const Relay& relay) {
    if (relays_.size() >= kRelaysMax) return false;
    if (!relays_.emplace(id, relay).second) return false;
    nacks_.emplace(relay.nack_at, id);
    return true;
}

std::optional<Relays::Relay> Relays::take(std::uint64_t id) {
    const auto found = relays_.find(id);
    if (found == relays_.end()) return std::nullopt;
    const Relay relay = found->second;
    relays_.erase(found);
    nacks_.erase({relay.nack_at, id});
    return relay;
}

std::optional<Relays::Relay> Relays::take_nack(Instant now) {
    if (nacks_.empty() || nacks_.begin()->first > now) return std::nullopt;
    const auto id = nacks_.begin()->second;
    nacks_.erase(nacks_.begin());
    return relays_.at(id);
}

std::optional<Instant> Relays::next_nack() const {
    if (nacks_.empty()) return std::nullopt;
    return nacks_.begin()->first;
}

void Relays::expire(Instant now) {
    std::erase_if(relays_, [&](const auto& entry) {
        if (entry.second.deadline > now) return false;
        nacks_.erase({entry.second.nack_at, entry.first});
        return true;
    });
}

}  // namespace starling::membership
