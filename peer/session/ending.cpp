#include "peer/session/ending.hpp"

#include <algorithm>
#include <functional>
#include <vector>

namespace starling::peer {

EndingPhase Ending::advance(Instant now, const EndingInputs& inputs) {
    follow(now, inputs.others);
    switch (phase_) {
        case EndingPhase::Train:
            // `reached_` does not fall again in this round. Estimates go up and down, each peer's
            // at another time, so a majority at one moment would come long after most peers have
            // seen the target. In the end the evaluation on the whole test set decides.
            reached_ = reached_ || estimate_reached(inputs);
            if (enough_reached(inputs.others)) enter(now, EndingPhase::Settle);
            break;
        case EndingPhase::Settle: {
            const auto longest = inputs.draws_norms ? kSettleMax + kNormsMax : kSettleMax;
            if (inputs.settled || now - since_ > longest) enter(now, EndingPhase::Evaluate);
            break;
        }
        case EndingPhase::Evaluate:
            judge(now, inputs);
            break;
        case EndingPhase::Linger:
            if ((inputs.joining == 0 && all_finished(inputs.others)) || now - since_ > kLingerMax) {
                enter(now, EndingPhase::Leave);
            }
            break;
        case EndingPhase::Leave:
            break;
    }
    return phase_;
}

void Ending::enter(Instant now, EndingPhase phase) {
    phase_ = phase;
    since_ = now;
}

/// Joins a newer round.
void Ending::follow(Instant now, std::span<const Record> others) {
    if (phase_ == EndingPhase::Leave || others.empty()) return;
    const auto next = next_round(now, others);
    alone_ = false;
    if (next == round_) return;
    round_ = next;
    reached_ = false;
    behind_since_.reset();
    enter(now, EndingPhase::Train);
}

/// Only a peer that missed the target opens a round, and it ends the round before together with most
/// others. So where more than half of the others are, everybody goes. Beyond that a peer follows by one
/// round, and only if it has ended its own, or if somebody is ahead for long (after a cut); and
/// only a few times, because whoever is ahead may be a liar.
std::uint32_t Ending::next_round(Instant now, std::span<const Record> others) {
    std::vector<std::uint32_t> rounds;
    for (const auto& other : others) rounds.push_back(other.round);
    std::sort(rounds.begin(), rounds.end(), std::greater<>());
    // A liar in a swarm of two is more than half of the others. Who has just come must believe it.
    const bool several = rounds.size() > 1 || alone_;
    const auto common = std::max(round_, several ? rounds[rounds.size() / 2] : 0);
    if (common > round_) return common;
    const auto newest = rounds.front();
    rounds.push_back(round_);
    std::sort(rounds.begin(), rounds.end(), std::greater<>());
    const auto majority = rounds[rounds.size() / 2];
    if (newest <= round_ || round_ > majority) {
        behind_since_.reset();
        return round_;
    }
    if (!behind_since_) behind_since_ = now;
    const bool ended = phase_ != EndingPhase::Train || now - *behind_since_ > kFollowAfter;
    if (followed_few_ >= kFollowFewMax || !ended) return round_;
    ++followed_few_;
    return round_ + 1;
}

/// Returns whether a quality is as good as the target and better by a margin.
bool Ending::meets(double quality, double margin) const {
    const auto kind = until_.quality();
    if (!kind) return true;
    if (compute::higher_is_better(*kind)) return quality >= std::min(1.0, until_.value + margin);
    return quality <= until_.value * (1.0 - margin);
}

bool Ending::estimate_reached(const EndingInputs& inputs) const {
    switch (until_.kind) {
        case UntilKind::Forever:
            return false;
        case UntilKind::Steps:
            return static_cast<double>(inputs.own_steps) >= until_.value;
        case UntilKind::Epochs:
            return inputs.epochs_done;
        case UntilKind::Samples:
            return inputs.samples_wanted && inputs.swarm_samples >= *inputs.samples_wanted;
        default:
            return inputs.estimate &&
                   meets(*inputs.estimate, kMissMargin * std::min(round_, kMissesMax));
    }
}

/// A majority decides, with us, and so does one that has raised the flag already, without us: we may
/// have come later. Steps are counted per peer, so all peers must have made them.
bool Ending::enough_reached(std::span<const Record> others) const {
    std::size_t reached = reached_ ? 1 : 0;
    std::size_t ending = 0;
    for (const auto& other : others) {
        if (other.round != round_) continue;
        if (other.ending) ++ending;
        if (other.reached || other.ending) ++reached;
    }
    const std::size_t live = others.size() + 1;
    if (2 * ending > others.size()) return true;
    return until_.kind == UntilKind::Steps ? reached == live : 2 * reached > live;
}

void Ending::judge(Instant now, const EndingInputs& inputs) {
    if (!inputs.evaluated) return;
    met_ = !until_.quality() || (inputs.full && meets(*inputs.full, 0.0));
    if (met_) {
        enter(now, EndingPhase::Linger);
        return;
    }
    ++round_;
    reached_ = false;
    enter(now, EndingPhase::Train);
}

bool Ending::all_finished(std::span<const Record> others) const {
    return std::all_of(others.begin(), others.end(), [this](const Record& other) {
        return other.round == round_ &&
               (other.state == PeerState::Lingering || other.state == PeerState::Done);
    });
}

}  // namespace starling::peer
