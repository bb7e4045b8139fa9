#include "compute/values/norm_moments.hpp"

#include <cstddef>
#include <string>

namespace starling::compute {

Result<void> add_moments(NormMoments& whole, const NormMoments& part) {
    if (part.samples <= 0.0) return {};
    if (whole.samples <= 0.0) {
        whole = part;
        return {};
    }
    const auto channels = whole.means.size();
    if (part.means.size() != channels || part.variances.size() != channels) {
        return fail(
            FaultCode::BadValue,
            "moments of " + std::to_string(part.means.size()) + " channels do not fit those of " +
                std::to_string(channels)
        );
    }
    const double both = whole.samples + part.samples;
    const double share = part.samples / both;
    for (std::size_t i = 0; i < channels; ++i) {
        const double gap = part.means[i] - whole.means[i];
        whole.means[i] += share * gap;
        whole.variances[i] +=
            share * (part.variances[i] - whole.variances[i]) + share * (1.0 - share) * gap * gap;
    }
    whole.samples = both;
    return {};
}

}  // namespace starling::compute
