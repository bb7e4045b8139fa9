#pragma once

// A sum of doubles without rounding, so that parts of a sum can be added up in any order.
//
// Invariant: the sum is the integer  sum over i of limbs_[i] * 2^(32 i)  in units of 2^-1074, the
// smallest positive double. Every finite double is a whole number of these units.
// Source    Neal, "Fast exact summation using small and large superaccumulators", 2015, section 3;
//           ours has limbs for magnitudes of whole sums, and a canonical form for the wire

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/bytes.hpp"

namespace starling::compute {

/// Thread    any, one at a time
class ExactSum {
public:
    /// Adds one value. Its cost does not depend on what has been added.
    /// Requires  a finite value
    void add(double value);

    /// Adds the exact product of two values.
    /// Requires  a finite product; it is rounded where its last bit lies below 2^-1074
    void add_product(double left, double right);

    ExactSum& operator+=(const ExactSum& other);

    /// Returns the sum, rounded once or twice in its last bit. It depends on the sum alone, and not
    /// on how the sum came about.
    /// Ensures   an infinity where the sum is no double
    [[nodiscard]] double value() const;

    /// Returns whether the sum is below zero.
    [[nodiscard]] bool is_negative() const;

    /// Returns whether the sum is zero.
    [[nodiscard]] bool is_zero() const;

    /// Writes sign, place of the lowest limb, number of limbs, limbs: 3 to 287 bytes. Equal sums
    /// have equal bytes.
    void encode(ByteWriter& out) const;

    /// Reads what encode() writes. Anything else spoils the reader and gives a sum of zero.
    [[nodiscard]] static ExactSum decode(ByteReader& in);

    [[nodiscard]] bool operator==(const ExactSum& other) const;

private:
    /// 2,098 bits for one double, and 174 more for the carries of a sum.
    static constexpr std::size_t kLimbs = 71;

    struct Canonical {
        std::array<std::uint32_t, kLimbs> magnitude{};
        bool negative = false;
    };

    void settle();
    [[nodiscard]] Canonical canonical() const;

    std::array<std::int64_t, kLimbs> limbs_{};
    /// How often something was added since the limbs were within 32 bits.
    std::uint32_t unsettled_ = 0;
};

}  // namespace starling::compute
