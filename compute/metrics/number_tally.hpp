#pragma once

// What an evaluation adds up where labels are numbers.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "compute/metrics/exact_sum.hpp"

namespace starling::compute {

/// Sums of errors and of targets. Everything merges exactly, in any order.
///
/// Up to kColumnsMax numbers of a sample have sums of their own, and R^2 is their mean. With more,
/// all numbers are one column, and R^2 is that of all together.
/// Thread    any, one at a time
class NumberTally {
public:
    static constexpr std::size_t kColumnsMax = 256;
    static constexpr std::size_t kNumbersMax = std::size_t{1} << 20U;

    /// Requires  numbers, how many each sample has, in [1, kNumbersMax]
    explicit NumberTally(std::size_t numbers);

    /// Adds samples, all or none.
    ///
    /// Shapes    answers, targets [N, numbers] f32
    /// Errors    BadValue: shapes that do not fit, a number that is not finite, too many in all
    [[nodiscard]] Result<void> add(std::span<const float> answers, std::span<const float> targets);

    /// Errors    BadValue: another count of numbers a sample, too many in all; nothing was merged
    [[nodiscard]] Result<void> merge(const NumberTally& other);

    /// Returns how many numbers were compared: samples times numbers.
    [[nodiscard]] std::uint64_t count() const { return samples_ * numbers_; }

    /// Return means over all numbers; empty without one. The loss is the mean squared error.
    [[nodiscard]] std::optional<double> loss() const;
    [[nodiscard]] std::optional<double> mean_absolute_error() const;
    [[nodiscard]] std::optional<double> root_mean_square_error() const;

    /// Returns 1 - (sum of squared errors) / (sum of squared distances of targets from their mean).
    /// Where all targets are equal it is 1 if there is no error, and else 0. Empty with fewer than
    /// two samples. The mean of the targets may be large: no digits cancel.
    /// Source    scikit-learn, r2_score with multioutput="uniform_average"
    [[nodiscard]] std::optional<double> r2() const;

    void encode(ByteWriter& out) const;

    /// Reads what encode() writes. Takes up to 0.6 MiB for 256 columns.
    /// Errors    BadFormat: cut, out of range, or sums that contradict each other
    [[nodiscard]] static Result<NumberTally> decode(ByteReader& in);

    [[nodiscard]] bool operator==(const NumberTally& other) const = default;

private:
    struct Column {
        ExactSum absolute;
        ExactSum squared;
        ExactSum target;
        ExactSum target_squared;

        /// Returns n times the sum of squared distances of n targets from their mean.
        [[nodiscard]] double scatter(double count) const;
        [[nodiscard]] bool is_sound(double count) const;
        [[nodiscard]] bool operator==(const Column& other) const = default;
    };

    [[nodiscard]] double column_count() const {
        return static_cast<double>(count()) / static_cast<double>(columns_.size());
    }

    std::size_t numbers_;
    std::uint64_t samples_ = 0;
    std::vector<Column> columns_;
};

}  // namespace starling::compute
