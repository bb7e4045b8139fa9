#pragma once

// Weighted pairs. A peer's weight is a power of two. With weights that differ by 2^k the pair
// computes t = 2 a d / (1 + 2^k) once for each element, d the decoded difference. The heavier side
// goes by t towards the lighter one, and the lighter one by 2^k t towards it. So the sum of weight
// times value over both is kept, and kept exactly, because a product with a power of two is exact.
// Equal weights give a d on both sides.

#include <cmath>
#include <cstdint>

namespace starling::gossip {

/// How much further one side of an exchange goes than the other, seen from one of them. One of the
/// two numbers is 0, and both are 0 for equal weights.
struct Tilt {
    std::uint8_t own = 0;    ///< log2 of how many times as far as the partner we go
    std::uint8_t other = 0;  ///< the same of the partner

    /// Returns the tilt of a side that is lighter than its partner by 2^log2, heavier if negative.
    [[nodiscard]] static Tilt lighter_by(int log2) {
        if (log2 >= 0) return {static_cast<std::uint8_t>(log2), 0};
        return {0, static_cast<std::uint8_t>(-log2)};
    }

    /// Returns the same as the partner sees it.
    [[nodiscard]] Tilt reversed() const { return {other, own}; }

    friend bool operator==(const Tilt&, const Tilt&) = default;
};

/// Returns t / d, the share of the difference that the heavier side goes.
[[nodiscard]] inline double step_of(double coefficient, const Tilt& tilt) {
    return 2.0 * coefficient / (1.0 + std::ldexp(1.0, tilt.own + tilt.other));
}

/// Returns the share of the difference that we go: less than 2 a, and a for equal weights.
[[nodiscard]] inline double share_of(double coefficient, const Tilt& tilt) {
    return std::ldexp(step_of(coefficient, tilt), tilt.own);
}

/// Returns the coefficient with which we go this share of the difference.
[[nodiscard]] inline double coefficient_for(double share, const Tilt& tilt) {
    return share * (1.0 + std::ldexp(1.0, tilt.own + tilt.other)) / std::ldexp(2.0, tilt.own);
}

}  // namespace starling::gossip
