#include "peer/session/mix_weight.hpp"

#include <algorithm>
#include <cmath>

namespace starling::peer {

bool MixWeight::update(Instant now, const Inputs& inputs) {
    if (inputs.equal) return false;
    if (!inputs.speed) {
        if (log2_ || !inputs.usual) return false;
        return become(now, *inputs.usual - kUnmeasured, inputs.samples);
    }
    if (measured_) {
        const bool off = std::abs(*inputs.speed - *log2_) > kOff;
        const bool rested = now - changed_ >= kEvery && inputs.samples >= samples_ + inputs.duty;
        if (!off || !rested) return false;
    }
    measured_ = true;
    return become(now, *inputs.speed, inputs.samples);
}

bool MixWeight::become(Instant now, double log2, std::uint64_t samples) {
    const double within = std::clamp(log2, -kLog2Max, kLog2Max);
    const auto nearest = static_cast<std::int8_t>(std::lround(within));
    changed_ = now;
    samples_ = samples;
    if (log2_ == nearest) return false;
    log2_ = nearest;
    return true;
}

}  // namespace starling::peer
