#include "peer/streams/stream_pace.hpp"

#include <algorithm>

namespace starling::peer {

namespace {

constexpr Duration kSample = std::chrono::milliseconds(100);
/// Acknowledgements come in bunches of about a round trip, so a sample takes at least this many.
constexpr int kRoundTrips = 4;
/// A stream that had data on its way for less of a sample did not show what its link takes.
constexpr double kBusy = 0.9;
/// After this long without any sample the link may be another one.
constexpr Duration kForget = std::chrono::seconds(10);
/// If the rate grows by less than this from one half of the samples to the other, the link is full.
/// Slow start doubles the rate with each round trip, so its rates are not taken for the link's.
constexpr double kLevel = 1.1;
/// How much more than the link takes may leave, to find out whether it takes more: as much as BBR
/// gives itself, and little for a stream that fills its queue whenever it may.
constexpr double kRoom = 1.25;
constexpr double kLittleRoom = 1.015;
constexpr double kDrain = 0.95;
/// A queue of up to this plus a quarter of the round trip does no harm.
constexpr Duration kQueue = std::chrono::milliseconds(5);
/// If the queue is still there when the rate has fallen to this share, the queue is not ours.
constexpr double kEnough = 0.8;
constexpr Duration kRemember = std::chrono::minutes(1);
constexpr double kLimitMin = 64e3;

}  // namespace

void StreamPace::heard(Instant now, const TcpFacts& facts) {
    due_ = now + std::max(kSample, kRoundTrips * facts.round_trip);
    const Duration elapsed = now - since_;
    const bool full = to_seconds(facts.busy - last_.busy) >= kBusy * to_seconds(elapsed);
    const auto acknowledged = static_cast<double>(facts.acknowledged - last_.acknowledged);
    // A queue that only one of two samples shows does not count.
    const Duration queue = std::min(facts.smoothed, last_.smoothed) - facts.round_trip;
    last_ = facts;
    since_ = now;
    // If no write ended a sample in time, the stream had nothing to send or stood still. Neither
    // says anything about the link.
    if (elapsed >= kForget) {
        forget();
    } else if (full) {
        sampled(now, acknowledged / to_seconds(elapsed), queue);
    }
}

void StreamPace::forget() {
    count_ = 0;
    limit_ = 0.0;
    draining_ = false;
    drained_.reset();
    given_up_.reset();
}

void StreamPace::sampled(Instant now, double rate, Duration queue) {
    std::rotate(rates_.begin(), rates_.begin() + 1, rates_.end());
    rates_.back() = rate;
    count_ = std::min(count_ + 1, kSamples);
    if (count_ < kSamples) return;
    const auto middle = rates_.begin() + kSamples / 2;
    const double older = *std::max_element(rates_.begin(), middle);
    const double newer = *std::max_element(middle, rates_.end());
    const double takes = std::max(older, newer);
    const bool level = newer <= kLevel * older;
    limit_ = level && takes < kFast ? std::max(kLimitMin, room(now, takes, queue) * takes) : 0.0;
}

/// Returns the limit as a multiple of what the link takes.
double StreamPace::room(Instant now, double takes, Duration queue) {
    const bool fills = drained_ && now - *drained_ < kRemember;
    const bool gave_up = given_up_ && now - *given_up_ < kRemember;
    if (gave_up) return kRoom;
    if (queue <= kQueue + last_.round_trip / 4) {
        draining_ = false;
        return fills ? kLittleRoom : kRoom;
    }
    if (!draining_) drained_from_ = takes;
    draining_ = takes > kEnough * drained_from_;
    (draining_ ? drained_ : given_up_) = now;
    return draining_ ? kDrain : kRoom;
}

}  // namespace starling::peer
