#include "peer/transfer/donor_pace.hpp"

#include <algorithm>

#include "base/check.hpp"

namespace starling::peer {

namespace {

/// An answer may take so many times as long as what we have measured says. Streams that share a line
/// with us come and go, and a rate may fall by half before the next answer shows it.
constexpr double kSlack = 4.0;

}  // namespace

DonorPace::Mark DonorPace::asked(Instant now, std::size_t bytes) {
    // While nothing is awaited the line rests because of us, and that time says nothing of the donor.
    if (in_flight_ == 0) delivered_at_ = now;
    in_flight_ += bytes;
    return {now, delivered_at_, delivered_};
}

void DonorPace::answered(Instant now, const Mark& mark, std::size_t bytes) {
    STARLING_CHECK(bytes <= in_flight_);
    in_flight_ -= bytes;
    delivered_ += bytes;
    delivered_at_ = now;
    round_trip(now - mark.asked_at);
    const auto took = std::max<Duration>(now - mark.since, std::chrono::microseconds(1));
    note_rate(static_cast<double>(delivered_ - mark.delivered) / to_seconds(took));
}

void DonorPace::answered_late(Instant now, const Mark& mark, std::size_t bytes) {
    round_trip(now - mark.asked_at);
    const auto took = std::max<Duration>(now - mark.asked_at, std::chrono::microseconds(1));
    note_rate(static_cast<double>(bytes) / to_seconds(took));
}

void DonorPace::note_rate(double rate) {
    rates_[next_] = rate;
    next_ = (next_ + 1) % kRates;
}

void DonorPace::round_trip(Duration took) {
    round_trip_ = measured_ ? std::min(round_trip_, took) : took;
    measured_ = true;
}

double DonorPace::rate() const {
    return *std::max_element(rates_.begin(), rates_.end());
}

std::size_t DonorPace::window(std::size_t piece) const {
    const double bytes = rate() * to_seconds(2 * round_trip_ + kAhead);
    return std::max(2 * piece, static_cast<std::size_t>(bytes));
}

std::size_t DonorPace::piece() const {
    return static_cast<std::size_t>(rate() * to_seconds(kPieceTime));
}

Duration DonorPace::patience() const {
    const auto bytes = static_cast<double>(in_flight_);
    const bool known = rate() > 0.0;
    const double usual = known ? kSlack * (bytes / rate() + to_seconds(round_trip_))
                               : bytes / kSlowest + to_seconds(kPatienceFirst);
    const auto least = std::max(kPatienceMin, from_seconds(std::min(usual, 1e3)));
    return std::min(least, kPatienceMax);
}

}  // namespace starling::peer
