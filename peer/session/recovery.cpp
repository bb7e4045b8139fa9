#include "peer/session/recovery.hpp"

#include <algorithm>

namespace starling::peer {

std::optional<RecoveryCause> Recovery::judge(
    const gossip::ExchangeEvent& event, std::size_t partners
) {
    if (event.outcome == gossip::Outcome::Committed) accusers_.clear();
    if (event.outcome != gossip::Outcome::Violated || running()) return std::nullopt;
    if (event.misdeed == gossip::Misdeed::Own) return RecoveryCause::Diverged;
    // A partner that reports us does not say why, so its event has no misdeed. If the event has
    // one, we reported the partner, and that says nothing about our parameters.
    if (event.misdeed != gossip::Misdeed::None) return std::nullopt;
    const bool known =
        std::find(accusers_.begin(), accusers_.end(), event.partner) != accusers_.end();
    if (!known) accusers_.push_back(event.partner);
    const std::size_t enough = std::min(kAccusersMax, std::max<std::size_t>(partners, 1));
    if (accusers_.size() < enough) return std::nullopt;
    accusers_.clear();
    return RecoveryCause::Accused;
}

bool Recovery::begin(Instant now, std::uint64_t steps, RecoveryCause cause) {
    auto& attempts = attempts_[static_cast<std::size_t>(cause)];
    if (steps - attempts.steps >= kSteadySteps) attempts.count = 0;
    if (attempts.count >= kAttemptsMax) return false;
    ++attempts.count;
    attempts.steps = steps;
    cause_ = cause;
    stage_ = Stage::Drain;
    ++begun_;
    accusers_.clear();
    news_at_ = now;
    return true;
}

RecoveryStep Recovery::advance(Instant now, const Inputs& inputs) {
    switch (stage_) {
        case Stage::Idle:
            return RecoveryStep::None;
        case Stage::Drain:
            // A running exchange must end first: both sides compute with what we have offered.
            if (inputs.in_use) return RecoveryStep::None;
            stage_ = Stage::Fetch;
            chunks_ = 0;
            news_at_ = now;
            return RecoveryStep::Fetch;
        case Stage::Fetch:
            break;
    }
    if (inputs.complete) return resume();
    if (inputs.chunks != chunks_) {
        chunks_ = inputs.chunks;
        news_at_ = now;
    }
    if (now - news_at_ <= kPatience) return RecoveryStep::None;
    return cause_ == RecoveryCause::Accused ? resume() : RecoveryStep::GiveUp;
}

RecoveryStep Recovery::resume() {
    stage_ = Stage::Idle;
    ++done_;
    return RecoveryStep::Resume;
}

}  // namespace starling::peer
