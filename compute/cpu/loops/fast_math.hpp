#pragma once

// exp, expm1, tanh and erf as arithmetic without branches or calls, so that loops over them use
// vectors. Results are within a few units in the last place of those of the standard library, also
// those near zero.

#include <algorithm>
#include <bit>
#include <cstdint>

#include "base/simd.hpp"

namespace starling::compute::cpu {

/// exp x = 2^n (1 + q): `power` is 2^n, and `rest` is q, to full precision also where it is small.
struct ExpParts {
    float power;
    float rest;
};

/// Source    Cody and Waite's range reduction with the polynomial of the Cephes library's expf
[[nodiscard]] STARLING_INLINE ExpParts exp_parts(float x) {
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
    const auto power = (std::bit_cast<std::uint32_t>(shifted) - 0x4B400000U + 127U) << 23U;
    return {std::bit_cast<float>(power), p * r * r + r};
}

[[nodiscard]] STARLING_INLINE float fast_exp(float x) {
    const auto parts = exp_parts(x);
    return (parts.rest + 1.0F) * parts.power;
}

/// exp x - 1. For n = 0, where the two would nearly cancel, only the rest remains.
[[nodiscard]] STARLING_INLINE float fast_expm1(float x) {
    const auto parts = exp_parts(x);
    return parts.rest * parts.power + (parts.power - 1.0F);
}

/// Source    the rational approximation of XLA and Eigen; beyond its bounds tanh rounds to one
[[nodiscard]] STARLING_INLINE float fast_tanh(float given) {
    const float x = std::max(std::min(given, 7.90531111F), -7.90531111F);
    const float s = x * x;
    float p = -2.76076847742355e-16F;
    p = p * s + 2.00018790482477e-13F;
    p = p * s - 8.60467152213735e-11F;
    p = p * s + 5.12229709037114e-08F;
    p = p * s + 1.48572235717979e-05F;
    p = p * s + 6.37261928875436e-04F;
    p = p * s + 4.89352455891786e-03F;
    float q = 1.19825839466702e-06F;
    q = q * s + 1.18534705686654e-04F;
    q = q * s + 2.26843463243900e-03F;
    q = q * s + 4.89352518554385e-03F;
    return std::max(std::min(x * p / q, 1.0F), -1.0F);
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
