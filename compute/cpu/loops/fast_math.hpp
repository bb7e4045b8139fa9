#pragma once

// exp and erf as arithmetic without branches or calls, so that loops over them use vectors. Results
// are within a few units in the last place of those of std::exp and std::erf.

#include <algorithm>
#include <bit>
#include <cstdint>

#include "base/simd.hpp"

namespace starling::compute::cpu {

/// Source    Cody and Waite's range reduction with the polynomial of the Cephes library's expf
[[nodiscard]] STARLING_INLINE float fast_exp(float x) {
    // Adding 1.5 * 2^23 rounds to a whole number and leaves it in the low bits.
    constexpr float kRound = 12582912.0F;
    const float limited = std::max(std::min(x, 88.0F), -87.0F);
    const float shifted = limited * 1.44269504F + kRound;
    const float whole = shifted - kRound;
    const float r = (limited - whole * 0.693359375F) + whole * 2.12194440e-4F;
    float p = 1.9875691500e-4F;
    p = p * r + 1.3981999507e-3F;
    p = p * r + 8.3334519073e-3F;
    p = p * r + 4.1665795894e-2F;
    p = p * r + 1.6666665459e-1F;
    p = p * r + 5.0000001201e-1F;
    p = p * r * r + r + 1.0F;
    const auto power = (std::bit_cast<std::uint32_t>(shifted) - 0x4B400000U + 127U) << 23U;
    return p * std::bit_cast<float>(power);
}

/// Source    the rational approximation of XLA and Eigen on [-4, 4]
[[nodiscard]] STARLING_INLINE float fast_erf(float given) {
    const float x = std::max(std::min(given, 4.0F), -4.0F);
    const float s = x * x;
    float p = -2.72614225801306e-10F;
    p = p * s + 2.77068142495902e-08F;
    p = p * s - 2.10102402082508e-06F;
    p = p * s - 5.69250639462346e-05F;
    p = p * s - 7.34990630326855e-04F;
    p = p * s - 2.95459980854025e-03F;
    p = p * s - 1.60960333262415e-02F;
    float q = -1.45660718464996e-05F;
    q = q * s - 2.13374055278905e-04F;
    q = q * s - 1.68282697438203e-03F;
    q = q * s - 7.37332916720468e-03F;
    q = q * s - 1.42647390514189e-02F;
    return x * p / q;
}

}  // namespace starling::compute::cpu
