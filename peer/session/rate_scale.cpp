#include "peer/session/rate_scale.hpp"

#include <algorithm>
#include <cmath>

namespace starling::peer {

namespace {

constexpr double kToldWithin = 0.01;

}  // namespace

bool RateScale::update(Instant now, const Inputs& inputs) {
    const auto peers =
        std::clamp<std::uint64_t>(inputs.peers, 1, std::max<std::uint64_t>(1, peers_most_));
    double one = 0.0;  // how far the peers are one model
    if (inputs.spread && *inputs.spread <= inputs.target_spread) one = 1.0;
    if (inputs.spread && *inputs.spread > inputs.target_spread)
        one = inputs.target_spread / *inputs.spread;
    const double wanted = std::log1p((std::sqrt(static_cast<double>(peers)) - 1.0) * one);
    const double passed = updated_ ? to_seconds(now - *updated_) : 0.0;
    updated_ = now;
    log_ += (1.0 - std::exp(-passed / to_seconds(kFollows))) * (wanted - log_);
    const double factor = std::exp(log_);
    if (std::abs(factor / told_ - 1.0) < kToldWithin) return false;
    told_ = factor;
    return true;
}

}  // namespace starling::peer
