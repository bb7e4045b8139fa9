#pragma once

// How numbers that span many powers of ten are fed to a model.

#include <cmath>

namespace starling::data {

/// Returns sign(x) log(1 + |x| / unit): about x / unit for small numbers and a logarithm for large
/// ones, of either sign. The unit is the column's median magnitude, so that cents and francs are
/// fed alike; with a unit of 1 the smallest amounts would spread over most of the result.
/// Requires  unit > 0
/// Thread    any (pure)
[[nodiscard]] inline double signed_log(double x, double unit) {
    return std::copysign(std::log1p(std::abs(x) / unit), x);
}

}  // namespace starling::data
