#pragma once

// What batch norms see: of each channel the mean and the variance over some samples. Parts of different data are
// joined as their sums and sums of squares would be, so the variance of the whole contains how far the means of the parts
// are from each other; a mean of variances does not.

#include <vector>

#include "base/result.hpp"

namespace starling::compute {

/// Of all channels of all batch norms of a model, one after another.
struct NormMoments {
    double samples = 0.0;  ///< over how many; 0: over none, then there are no channels
    std::vector<double> means;
    std::vector<double> variances;  ///< of the population: divided by n

    bool operator==(const NormMoments&) const = default;
};

/// Adds another part: both together are then the moments of one whole.
///
/// Errors    BadValue: other channels; nothing was added
/// Thread    any (pure)
/// Source    Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances" (1979)
[[nodiscard]] Result<void> add_moments(NormMoments& whole, const NormMoments& part);

}  // namespace starling::compute
