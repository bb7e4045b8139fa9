#include "gossip/pace.hpp"

#include <algorithm>

namespace starling::gossip {
namespace {

constexpr double kDecay = 0.25;
constexpr double kRoundTripDecay = 0.125;
/// What two processes hold between their sockets and their arithmetic so that neither waits for the
/// other: on loopback 4 MiB in all bring a quarter more than 1 MiB, and 16 less. On a slow link it
/// would only be a queue.
constexpr double kPipelineBytes = 3.0 * 1024 * 1024;
constexpr double kPipelineSeconds = 5e-3;
/// What a first exchange fills of a long link, bytes per second one way: on a slower one it is a
/// queue at the sender, once.
constexpr double kHopedRate = 125e6;
constexpr double kRateMin = 1e3;
constexpr double kRateMax = 1e12;
/// Longer allowances mean nothing, and would overflow a Duration at the lowest rates.
constexpr double kAllowanceMax = 30.0 * 24.0 * 3600.0;

double clamped(double rate) {
    return std::clamp(rate, kRateMin, kRateMax);
}

}  // namespace

void Pace::committed(std::size_t bytes, Duration elapsed) {
    // Virtual links may take no time at all; that measures nothing.
    if (elapsed <= Duration::zero() || bytes == 0) return;
    const double measured = static_cast<double>(bytes) / to_seconds(elapsed);
    // Before the first one the rate is a guess, and a mean with it would keep the window of a long
    // and fast link small for many exchanges.
    rate_ = clamped(measured_ ? rate_ + kDecay * (measured - rate_) : measured);
    measured_ = true;
}

void Pace::timed_out() {
    rate_ = clamped(rate_ / 2.0);
}

void Pace::answered(Duration elapsed) {
    if (elapsed <= Duration::zero()) return;
    if (round_trip_ == Duration::zero() || elapsed < round_trip_) {
        round_trip_ = elapsed;
    } else {
        round_trip_ += from_seconds(kRoundTripDecay * to_seconds(elapsed - round_trip_));
    }
}

std::size_t Pace::window(std::size_t fallback) const {
    if (round_trip_ == Duration::zero()) return fallback;
    if (!measured_) {
        const double hoped = kHopedRate * to_seconds(round_trip_);
        return std::clamp(static_cast<std::size_t>(hoped), fallback, kWindowMax);
    }
    const double busy = std::min(kPipelineBytes, rate_ * kPipelineSeconds);
    const double bytes = rate_ * to_seconds(round_trip_) + busy;
    return static_cast<std::size_t>(
        std::clamp(bytes, static_cast<double>(kWindowMin), static_cast<double>(kWindowMax))
    );
}

Paces::Paces(const AveragerConfig& config)
    : base_(config.deadline_base),
      slack_(config.deadline_slack),
      usual_rate_(config.initial_rate) {}

Pace& Paces::of(const PeerId& partner) {
    ++clock_;
    for (auto& known : known_) {
        if (known.id != partner) continue;
        known.used = clock_;
        return known.pace;
    }
    Known fresh{partner, clock_, Pace(usual_rate_)};
    if (known_.size() < kPartnersMax) return known_.emplace_back(fresh).pace;
    auto& oldest = *std::min_element(
        known_.begin(), known_.end(), [](const auto& a, const auto& b) { return a.used < b.used; }
    );
    oldest = fresh;
    return oldest.pace;
}

void Paces::measured(double rate) {
    usual_rate_ = clamped(usual_rate_ + kDecay * (rate - usual_rate_));
}

Duration Paces::allowance(const PeerId& partner, std::size_t bytes) {
    const double seconds = static_cast<double>(bytes) / of(partner).rate() * slack_;
    return base_ + from_seconds(std::min(seconds, kAllowanceMax));
}

}  // namespace starling::gossip
