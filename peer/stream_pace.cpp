#include "peer/stream_pace.hpp"

#include <algorithm>

namespace starling::peer {

namespace {

constexpr Duration kSample = std::chrono::milliseconds(100);
/// Acknowledgements come in bunches of a round trip or so.
constexpr int kRoundTrips = 4;
/// A stream that paused did not show what its link takes.
constexpr double kBusy = 0.9;
/// After so long without a full sample the link may have become another.
constexpr Duration kForget = std::chrono::seconds(10);
/// Less growth than this from one half of the samples to the other: the link is full. Slow start
/// doubles the rate with each round trip, so what it shows is not taken for the link's.
constexpr double kLevel = 1.1;
/// Room to find out that the link takes more, as much as BBR gives itself.
constexpr double kRoom = 1.25;
constexpr double kLimitMin = 64e3;

}  // namespace

void StreamPace::heard(Instant now, const TcpFacts& facts) {
    due_ = now + std::max(kSample, kRoundTrips * facts.round_trip);
    const Duration elapsed = now - since_;
    const bool full = to_seconds(facts.busy - last_.busy) >= kBusy * to_seconds(elapsed);
    const auto acknowledged = static_cast<double>(facts.acknowledged - last_.acknowledged);
    last_ = facts;
    since_ = now;
    // A sample that no write ended in time is one of a stream that had nothing to say, or stood
    // still; both say nothing of the link.
    if (full && elapsed < kForget) {
        sampled(acknowledged / to_seconds(elapsed));
    } else if (elapsed >= kForget) {
        count_ = 0;
        limit_ = 0.0;
    }
}

void StreamPace::sampled(double rate) {
    if (count_ == kSamples) {
        std::rotate(rates_.begin(), rates_.begin() + 1, rates_.end());
    } else {
        ++count_;
    }
    rates_[count_ - 1] = rate;
    if (count_ < kSamples) return;
    const auto middle = rates_.begin() + kSamples / 2;
    const double older = *std::max_element(rates_.begin(), middle);
    const double newer = *std::max_element(middle, rates_.end());
    const bool level = newer <= kLevel * older;
    limit_ = level && newer < kFast ? std::max(kLimitMin, kRoom * std::max(older, newer)) : 0.0;
}

}  // namespace starling::peer
