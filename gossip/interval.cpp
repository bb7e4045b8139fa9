#include "gossip/interval.hpp"

#include <algorithm>
#include <cmath>

namespace starling::gossip {
namespace {

/// In each interval a peer opens one exchange and answers one, if all are alike.
constexpr double kExchangesEach = 2.0;
constexpr double kDecay = 0.25;

Duration bounded(double seconds) {
    return from_seconds(
        std::clamp(seconds, to_seconds(Interval::kLeast), to_seconds(Interval::kMost))
    );
}

}  // namespace

std::string_view to_string(IntervalBy by) {
    switch (by) {
        case IntervalBy::Start:
            return "start";
        case IntervalBy::Fixed:
            return "fixed";
        case IntervalBy::Steps:
            return "steps";
        case IntervalBy::Cost:
            return "cost";
        case IntervalBy::Spread:
            return "spread";
        case IntervalBy::Upload:
            return "upload-limit";
        case IntervalBy::Link:
            return "link";
        case IntervalBy::Alone:
            return "alone";
    }
    return "unknown";
}

Interval::Interval(const Limits& limits)
    : limits_(limits),
      interval_(limits.fixed.value_or(kFirst)),
      by_(limits.fixed ? IntervalBy::Fixed : IntervalBy::Start),
      measured_by_(by_) {}

double Interval::target_spread(std::uint64_t steps) {
    const double later = static_cast<double>(std::max(steps, kStepsEarly)) / double{kStepsEarly};
    return std::min(kSpreadLate, kSpreadEarly * std::sqrt(later));
}

void Interval::handle_asked(Instant now, bool begun, bool alone) {
    asked_ = begun;
    if (begun) {
        begun_ = now;
        by_ = measured_by_;
        return;
    }
    by_ = alone ? IntervalBy::Alone : measured_by_;
    due_ = now + (alone ? std::max(interval_, kRetryAlone) : std::min(interval_, kRetryBusy));
}

std::optional<Instant> Interval::due() const {
    if (asked_) return std::nullopt;
    return due_;
}

void Interval::handle_end(Instant now, const ExchangeEvent& event, const Measured& measured) {
    if (!asked_ || !event.initiator) return;
    asked_ = false;
    if (event.outcome == Outcome::Busy) {
        due_ = now + std::min(interval_, kRetryBusy);
        return;
    }
    if (event.outcome == Outcome::Committed) take(now, event, measured);
    due_ = std::max(now, begun_ + interval_);
}

void Interval::take(Instant now, const ExchangeEvent& event, const Measured& measured) {
    const Duration gap = committed_ ? begun_ - *committed_ : Duration::zero();
    committed_ = begun_;
    const double weight = samples_ == 0 ? 1.0 : kDecay;
    ++samples_;
    cost_ += weight * (to_seconds(std::max(measured.cost, Duration::zero())) - cost_);
    bytes_ += weight * (static_cast<double>(event.bytes) - bytes_);
    note_distance(event, gap, target_spread(measured.steps));
    if (limits_.fixed) return;
    adjust(measured);
    if (by_ != IntervalBy::Upload && now - begun_ > interval_) by_ = IntervalBy::Link;
    measured_by_ = by_;
}

/// Steps between two exchanges drive peers apart in proportion to the time, or to its root where they
/// are mostly noise. The quotient suits the first, and settles in a few exchanges in the second case.
void Interval::note_distance(const ExchangeEvent& event, Duration gap, double target) {
    const double distance = event.relative_distance;
    // Who pulls is far away for other reasons.
    const bool says = std::isfinite(distance) && distance >= 0.0 && event.rule != Rule::Pull;
    if (!says || gap <= Duration::zero()) return;
    const bool equal = distance == 0.0;
    rooms_[rooms_seen_ % rooms_.size()] =
        equal ? kMost : bounded(to_seconds(gap) * target / distance);
    ++rooms_seen_;
}

/// Returns the median of the times until the target, the longer one of two.
std::optional<Duration> Interval::room() const {
    if (rooms_seen_ == 0) return std::nullopt;
    auto rooms = rooms_;
    const auto seen = std::min(rooms_seen_, rooms.size());
    const auto middle = rooms.begin() + static_cast<std::ptrdiff_t>(seen / 2);
    std::nth_element(rooms.begin(), middle, rooms.begin() + static_cast<std::ptrdiff_t>(seen));
    return *middle;
}

void Interval::adjust(const Measured& measured) {
    Duration wanted = bounded(kExchangesEach * cost_ / kCostShare);
    by_ = IntervalBy::Cost;
    if (const auto most = room(); most && *most < wanted) {
        wanted = std::max(*most, bounded(kExchangesEach * cost_ / kCostShareMost));
        by_ = IntervalBy::Spread;
    }
    // Exchanges begin when a step has ended. Half a step after the last one, that is the next step.
    if (wanted <= measured.step) {
        wanted = std::max(kLeast, measured.step / 2);
        by_ = IntervalBy::Steps;
    }
    if (limits_.upload > 0.0) {
        // An exchange sends half of its bytes from here, and there are two of them.
        const auto least = bounded(bytes_ / (kUploadShare * limits_.upload));
        if (least > wanted) {
            wanted = least;
            by_ = IntervalBy::Upload;
        }
    }
    const double before = to_seconds(interval_);
    interval_ =
        from_seconds(std::clamp(to_seconds(wanted), before / kChangeMost, before * kChangeMost));
}

double Interval::cost_share() const {
    return kExchangesEach * cost_ / to_seconds(interval_);
}

}  // namespace starling::gossip
