#pragma once

// The 16-bit floats of model files, as floats.

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

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

/// The upper half of a float.
[[nodiscard]] inline float from_bfloat(std::uint16_t bfloat) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(bfloat) << 16U);
}

}  // namespace starling::compute
