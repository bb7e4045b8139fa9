#include "peer/session/ending.hpp"

#include <algorithm>

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
        case EndingPhase::Settle:
            if (inputs.settled || now - since_ > kSettleMax) enter(now, EndingPhase::Evaluate);
            break;
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

/// Joins the newest round of any peer. Only a peer that missed the target opens a round.
void Ending::follow(Instant now, std::span<const Record> others) {
    if (phase_ == EndingPhase::Leave) return;
    for (const auto& other : others) {
        if (other.round <= round_) continue;
        round_ = other.round;
        reached_ = false;
        enter(now, EndingPhase::Train);
    }
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
            return inputs.estimate && meets(*inputs.estimate, kMissMargin * round_);
    }
}

/// For a quality a majority decides, and for epochs, because views differ for some seconds. The count of samples is the same for all peers, so one
/// peer that sees the target is enough. Steps are counted per peer, so all peers must have made
/// them.
bool Ending::enough_reached(std::span<const Record> others) const {
    std::size_t reached = reached_ ? 1 : 0;
    for (const auto& other : others) {
        if (other.round == round_ && other.ending) return true;
        if (other.round == round_ && other.reached) ++reached;
    }
    const std::size_t live = others.size() + 1;
    switch (until_.kind) {
        case UntilKind::Forever:
            return reached > 0;
        case UntilKind::Samples:
            return reached > 0;
        case UntilKind::Steps:
            return reached == live;
        default:
            return 2 * reached > live;
    }
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
