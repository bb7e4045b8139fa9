#include "peer/training/evaluation_pace.hpp"

#include <algorithm>

namespace starling::peer {

namespace {

constexpr Duration kFirst = std::chrono::seconds(2);
constexpr Duration kPauseMin = std::chrono::milliseconds(500);
/// An evaluation that is due waits at most so long for the next exchange. It does not wait at all
/// if the last exchange was more than so long before it became due.
constexpr Duration kWaitMax = std::chrono::seconds(5);

}  // namespace

void EvaluationPace::start(Instant now) {
    if (due_ == Instant{}) due_ = now + kFirst;
}

bool EvaluationPace::due(Instant now, Instant averaged) const {
    if (now < due_) return false;
    if (averaged >= due_) return true;
    const bool mixes = averaged != Instant{} && due_ - averaged < kWaitMax;
    return !mixes || now - due_ > kWaitMax;
}

void EvaluationPace::evaluated(Instant begin, Instant end) {
    // The pause counts from the moment when this evaluation was due. Otherwise the waiting for
    // exchanges would make evaluations rarer.
    const Duration pause = from_seconds(to_seconds(end - begin) * (1.0 / share_ - 1.0));
    const Duration waited = std::min(begin - due_, pause / 2);
    due_ = end + std::max<Duration>(pause - waited, kPauseMin);
}

}  // namespace starling::peer
