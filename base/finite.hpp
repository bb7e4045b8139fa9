#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <span>

namespace starling {

/// Returns whether no value is a NaN or an infinity.
[[nodiscard]] inline bool all_finite(std::span<const float> values) {
    // Such a float has an exponent of all ones. We compare integers, so the loop has no branch.
    constexpr std::uint32_t kMagnitude = 0x7fffffff;
    constexpr std::uint32_t kInfinity = 0x7f800000;
    std::uint32_t largest = 0;
    for (const float value : values) {
        largest = std::max(largest, std::bit_cast<std::uint32_t>(value) & kMagnitude);
    }
    return largest < kInfinity;
}

}  // namespace starling
