#include "membership/pair_timing.hpp"

#include <algorithm>
#include <cmath>

namespace starling::membership {

namespace {

constexpr double kUnit = 0.5e-3;  ///< seconds
constexpr double kUnitsMax = 30.0 / kUnit;
constexpr double kStepsPerOctave = 16.0;
/// Of the first round trip. In a large swarm the second comes after a minute, and ways of the Internet
/// vary by a tenth.
constexpr double kFirstDeviation = 0.125;

}  // namespace

double PairTiming::deviation() const {
    return std::exp2(static_cast<double>(packed_[2]) / kStepsPerOctave);
}

void PairTiming::set(double mean, double deviation) {
    const auto units = static_cast<unsigned>(std::lround(std::clamp(mean, 1.0, kUnitsMax)));
    const double steps = kStepsPerOctave * std::log2(std::max(1.0, deviation));
    packed_[0] = static_cast<std::uint8_t>(units & 0xffU);
    packed_[1] = static_cast<std::uint8_t>(units >> 8U);
    packed_[2] = static_cast<std::uint8_t>(std::lround(std::min(steps, 255.0)));
}

void PairTiming::sample(Duration round_trip) {
    const double now = std::clamp(to_seconds(round_trip) / kUnit, 1.0, kUnitsMax);
    if (!known()) return set(now, now * kFirstDeviation);
    const double mean = mean_units();
    const double error = now - mean;
    set(mean + error / 8.0, deviation() + (std::abs(error) - deviation()) / 4.0);
}

Duration PairTiming::mean() const {
    return from_seconds(kUnit * mean_units());
}

Duration PairTiming::timeout() const {
    return from_seconds(kUnit * (mean_units() + 4.0 * deviation()));
}

}  // namespace starling::membership
