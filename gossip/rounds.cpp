#include "gossip/rounds.hpp"

#include <algorithm>
#include <utility>

namespace starling::gossip {

std::uint64_t Rounds::begin(std::uint64_t round) {
    own_ = round;
    number_ = std::max(number_, round + ahead_);
    return number_;
}

void Rounds::catch_up(std::uint64_t round) {
    if (round <= number_ || round - number_ > kBehindMax) return;
    ahead_ = round - own_;
    number_ = round;
}

std::uint64_t Rounds::furthest() const {
    std::uint64_t furthest = 0;
    for (const auto& parked : parked_) furthest = std::max(furthest, parked.open.round);
    return furthest;
}

void Rounds::enter(Instant now, RoundStage stage, const PeerId& partner) {
    stage_ = stage;
    partner_ = partner;
    until_ = now + patience_;
}

bool Rounds::park(Instant now, const PeerId& from, const Open& open) {
    // A partner has one request at a time, so a new one takes the place of the old one.
    forget(from);
    if (parked_.size() >= kParkedMax) return false;
    parked_.push_back({from, open, now + patience_});
    return true;
}

std::optional<Rounds::Parked> Rounds::take_due() {
    const auto due = [this](const Parked& parked) { return !ahead(parked.open); };
    auto found = std::find_if(parked_.begin(), parked_.end(), [&](const Parked& parked) {
        return due(parked) && running() && parked.from == partner_;
    });
    if (found == parked_.end()) found = std::find_if(parked_.begin(), parked_.end(), due);
    if (found == parked_.end()) return std::nullopt;
    auto taken = std::move(*found);
    parked_.erase(found);
    return taken;
}

std::optional<Rounds::Parked> Rounds::take_overdue(Instant now) {
    const auto found = std::find_if(parked_.begin(), parked_.end(), [now](const Parked& parked) {
        return now >= parked.until;
    });
    if (found == parked_.end()) return std::nullopt;
    auto taken = std::move(*found);
    parked_.erase(found);
    return taken;
}

std::vector<Rounds::Parked> Rounds::take_all() {
    return std::exchange(parked_, {});
}

std::optional<Rounds::Parked> Rounds::take(const PeerId& from) {
    const auto found = std::find_if(parked_.begin(), parked_.end(), [&](const Parked& parked) {
        return parked.from == from;
    });
    if (found == parked_.end()) return std::nullopt;
    auto taken = std::move(*found);
    parked_.erase(found);
    return taken;
}

void Rounds::forget(const PeerId& from) {
    std::erase_if(parked_, [&](const Parked& parked) { return parked.from == from; });
}

bool Rounds::forget(ExchangeId id) {
    return std::erase_if(parked_, [&](const Parked& parked) { return parked.open.id == id; }) > 0;
}

std::optional<Instant> Rounds::timeout() const {
    std::optional<Instant> next;
    const auto also = [&](Instant other) { next = next ? std::min(*next, other) : other; };
    if (stage_ == RoundStage::Expecting) also(until_);
    for (const auto& parked : parked_) also(parked.until);
    return next;
}

}  // namespace starling::gossip
