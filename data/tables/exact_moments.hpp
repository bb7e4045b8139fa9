#pragma once

// Mean and deviation of any number of doubles, from exact sums.

#include <array>
#include <cstdint>
#include <span>

namespace starling::data {

/// Sums of values and of their squares in long accumulators (fixed-point numbers as wide as all of a
/// double's exponents). Additions of integers are exact, so the sums depend on the values alone, not
/// on their order, on how they were split, on the compiler or on the machine. What is made of a sum is
/// rounded once at the end.
///
/// Thread    one at a time
/// Source    Kulisch, "Computer Arithmetic and Validity", 2008: the complete register
class ExactMoments {
public:
    /// Requires  a finite value; fewer than 2^62 values in all
    void add(double value) {
        // Small whole numbers, of which most tables consist, are summed as such and moved later.
        constexpr double kSmall = 2147483648.0;
        if (value > -kSmall && value < kSmall) {
            const auto whole = static_cast<std::int64_t>(value);
            if (static_cast<double>(whole) == value) {
                small_sum_ += whole;
                small_squares_ += static_cast<std::uint64_t>(whole * whole);
                ++count_;
                if (++uncarried_ == kUncarriedMax) carry();
                return;
            }
        }
        add_wide(value);
    }

    /// Adds what another has summed.
    void add(const ExactMoments& other);

    [[nodiscard]] std::uint64_t count() const { return count_; }

    /// Returns the mean; 0 if there is no value.
    [[nodiscard]] double mean() const;

    /// Returns the deviation of the values themselves (divided by n, not n - 1); 0 if there is none.
    [[nodiscard]] double deviation() const;

private:
    // A digit has 32 bits and lies in a word of 64, so that 2^30 additions need no carry.
    static constexpr std::size_t kSumDigits = 70;      // 1074 + 1024 + 63 bits
    static constexpr std::size_t kSquareDigits = 138;  // 2148 + 2048 + 63 bits, and 2 for carries

    // Mantissas have 53 bits and their squares 106, so that 2^21 of them fit into 128.
    static constexpr std::uint32_t kUncarriedMax = std::uint32_t{1} << 21U;
    static constexpr unsigned kNearExponents = 41;

    struct NearSum {
        __extension__ __int128 sum = 0;
        __extension__ unsigned __int128 squares = 0;
    };

    void add_wide(double value);
    bool add_near(std::uint64_t mantissa, unsigned shift, bool negative);
    void carry();
    [[nodiscard]] ExactMoments carried() const;

    std::array<std::int64_t, kSumDigits> sum_{};         ///< in units of 2^-1074
    std::array<std::int64_t, kSquareDigits> squares_{};  ///< in units of 2^-2148
    __extension__ unsigned __int128 small_squares_ = 0;
    // Most columns have numbers of like size. Those near the first one that is no small whole number are summed by
    // their exponents, in units of 2^(near_shift_ + place - 1074) and its square, and moved later like those.
    std::array<NearSum, kNearExponents> near_{};
    unsigned near_shift_ = 0;
    bool near_known_ = false;
    std::int64_t small_sum_ = 0;
    std::uint64_t count_ = 0;
    std::uint32_t uncarried_ = 0;
};

}  // namespace starling::data
