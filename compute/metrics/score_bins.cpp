#include "compute/metrics/score_bins.hpp"

#include <cmath>

namespace starling::compute {

std::int64_t bin_of(double log_odds) {
    STARLING_CHECK(!std::isnan(log_odds));
    const auto bounded = std::clamp(log_odds, -kLogOddsMax, kLogOddsMax);
    const auto index = static_cast<std::int64_t>(std::ceil(std::ldexp(bounded, kBinBits))) - 1;
    return std::max(index, -kBinIndexMax);
}

double lower_end(std::int64_t index, unsigned level) {
    return std::ldexp(static_cast<double>(index), static_cast<int>(level) - kBinBits);
}

std::size_t bins_for(std::size_t tallies) {
    constexpr std::size_t kFew = 16;
    constexpr std::size_t kLeast = 256;
    return std::max(kLeast, kBinsMax * kFew / std::max(kFew, tallies));
}

}  // namespace starling::compute
