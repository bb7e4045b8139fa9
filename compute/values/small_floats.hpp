#pragma once

// The two kinds of 16-bit floats: binary16, which model files hold, and bfloat16, in which values
// flow, too.

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "base/simd.hpp"

namespace starling::compute {

/// IEEE 754 binary16: a sign, five bits of exponent, ten of fraction.
[[nodiscard]] inline float from_half(std::uint16_t half) {
    const int exponent = (half >> 10U) & 0x1F;
    const auto fraction = static_cast<float>(half & 0x3FFU);
    float value = 0.0F;
    if (exponent == 0) {
        value = std::ldexp(fraction, -24);
    } else if (exponent == 31) {
        value = fraction == 0.0F ? HUGE_VALF : std::numeric_limits<float>::quiet_NaN();
    } else {
        value = std::ldexp(fraction + 1024.0F, exponent - 25);
    }
    return (half & 0x8000U) != 0 ? -value : value;
}

/// Returns the float whose upper half a bfloat16 is.
[[nodiscard]] STARLING_INLINE float widened(std::uint16_t half) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(half) << 16U);
}

/// Rounds to the nearest bfloat16, ties to even. A NaN stays one: rounding alone could carry its
/// fraction into the exponent.
[[nodiscard]] STARLING_INLINE std::uint16_t narrowed(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t nearest = bits + 0x7FFFU + ((bits >> 16U) & 1U);
    const std::uint32_t kept = (bits & 0x7FFFFFFFU) > 0x7F800000U ? bits | 0x400000U : nearest;
    return static_cast<std::uint16_t>(kept >> 16U);
}

}  // namespace starling::compute
