#include "membership/probe.hpp"

#include <algorithm>
#include <utility>

namespace starling::membership {

void ProbeOrder::insert(const ShortId& id) {
    const auto position = static_cast<std::size_t>(rng_.below(order_.size() + 1));
    order_.push_back(id);
    // Whoever stood there goes to the end, which is a random place as well in a shuffled round.
    if (position >= next_) {
        std::swap(order_[position], order_.back());
    } else {
        // Before the cursor, which must not repeat or skip anybody.
        std::swap(order_[next_], order_.back());
        ++next_;
    }
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
    return std::clamp(2 * (mean_ + 4 * deviation_), min, max);
}

bool ProbeCycle::answer(std::uint64_t id) {
    if (!open_ || open_->id != id) return false;
    open_.reset();
    return true;
}

std::optional<ProbeCycle::Probe> ProbeCycle::ask_helpers() {
    if (!open_ || open_->indirect) return std::nullopt;
    open_->indirect = true;
    return open_;
}

void ProbeCycle::set_helpers(std::size_t count) {
    if (open_) open_->helpers = static_cast<std::uint32_t>(count);
}

void ProbeCycle::nack(std::uint64_t id) {
    if (open_ && open_->id == id) ++open_->nacks;
}

std::optional<ProbeCycle::Probe> ProbeCycle::finish() {
    const auto missed = open_;
    open_.reset();
    return missed;
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
