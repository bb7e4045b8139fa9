#include "gossip/pace.hpp"

#include <algorithm>

namespace starling::gossip {
namespace {

constexpr double kDecay = 0.25;
constexpr double kRateMin = 1e3;
constexpr double kRateMax = 1e12;
/// Longer allowances mean nothing, and would overflow a Duration at the lowest rates.
constexpr double kAllowanceMax = 30.0 * 24.0 * 3600.0;

}  // namespace

Pace::Pace(const AveragerConfig& config)
    : base_(config.deadline_base),
      slack_(config.deadline_slack),
      rate_(config.initial_rate) {}

void Pace::committed(std::size_t bytes, Duration elapsed) {
    // Virtual links may take no time at all; that measures nothing.
    if (elapsed <= Duration::zero() || bytes == 0) return;
    const double measured = static_cast<double>(bytes) / to_seconds(elapsed);
    rate_ = std::clamp(rate_ + kDecay * (measured - rate_), kRateMin, kRateMax);
}

void Pace::timed_out() {
    rate_ = std::max(kRateMin, rate_ / 2.0);
}

Duration Pace::allowance(std::size_t bytes) const {
    const double seconds = static_cast<double>(bytes) / rate_ * slack_;
    return base_ + from_seconds(std::min(seconds, kAllowanceMax));
}

}  // namespace starling::gossip
