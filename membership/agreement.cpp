#include "membership/agreement.hpp"

#include <algorithm>

namespace starling::membership {

namespace {

/// Times that a difference must be heard again, unmoved, before an exchange: two periods.
constexpr int kStillMax = 2;
/// Times that it may be heard again while it moves.
constexpr int kMovesMax = 4;
/// Questions without an answer after which the peer is given up; the prober judges whether it
/// lives.
constexpr int kAsksMax = 8;
/// Doublings of the gap between exchanges that change nothing.
constexpr int kFruitlessMax = 5;

}  // namespace

void Agreement::hear(const PeerId& peer, std::uint64_t theirs, std::uint64_t ours) {
    calm_ = theirs == ours;
    if (calm_) {
        fruitless_ = 0;
        if (difference_ && difference_->peer == peer) difference_.reset();
        return;
    }
    if (!difference_) {
        difference_ = Difference{peer, theirs, ours, 0, 0, 0};
        return;
    }
    auto& d = *difference_;
    if (d.peer != peer) return;
    if (d.theirs == theirs && d.ours == ours) {
        ++d.stood_still;
    } else {
        ++d.moved;
        d.stood_still = 0;
        d.theirs = theirs;
        d.ours = ours;
    }
}

bool Agreement::persists(const Difference& difference) {
    return difference.stood_still >= kStillMax || difference.moved >= kMovesMax;
}

std::optional<PeerId> Agreement::ask_again() {
    if (!difference_) return std::nullopt;
    if (++difference_->asked > kAsksMax) {
        difference_.reset();
        return std::nullopt;
    }
    return difference_->peer;
}

std::optional<PeerId> Agreement::take_due(Instant now, std::uint64_t ours, Duration gap) {
    if (!difference_ || !persists(*difference_) || now < not_before_) return std::nullopt;
    const PeerId peer = difference_->peer;
    difference_.reset();
    fruitless_ = ours == last_ours_ ? std::min(fruitless_ + 1, kFruitlessMax) : 0;
    last_ours_ = ours;
    not_before_ = now + gap * (1 << fruitless_);
    return peer;
}

}  // namespace starling::membership
