#pragma once

// What a table's founder learns from the training rows: how numbers are scaled, which of them go
// through a logarithm, and which words have a code of their own.

#include <cstdint>
#include <span>
#include <vector>

#include "data/recipe.hpp"
#include "data/tables/exact_moments.hpp"
#include "data/tables/magnitudes.hpp"

namespace starling::data {

/// Which columns of numbers are fed as sign(x) log(1 + |x| / median).
enum class LogChoice : std::uint8_t {
    Never,
    Auto,  ///< amounts: numbers that spread far, nearly all of them on one side of 0
    Always
};

/// Numbers spread far if the 99th percentile of |x| is over so many medians, both without zeros.
/// docs/decisions/0027-tables.md has the measurements behind this and the next one.
inline constexpr double kLogSpread = 10.0;
/// Numbers lie on one side if so large a share of those that are not 0 has the same sign. What lies
/// around 0 has its centre there, which a logarithm would tear apart.
inline constexpr double kLogOneSide = 0.9;
/// Numbers are clipped so many deviations away from the mean.
inline constexpr float kColumnClip = 8.0F;
/// A word that fewer training rows have is fed as unknown, so that the code for unknown words is
/// trained with rare ones.
inline constexpr std::uint64_t kWordRowsMin = 2;

/// Takes the training rows once or twice, in any order, as they are stored: numbers as they are, NaN
/// where they are missing, words as their place from 1 on, 0 where they are missing.
/// Thread    one at a time
class ColumnLearner {
public:
    ColumnLearner() = default;
    /// Requires  as many choices as columns; columns of categories with all words of the table
    ColumnLearner(std::vector<Column> columns, std::vector<LogChoice> logs);

    void add(std::span<const float> row);

    /// Decides which numbers go through a logarithm. Returns whether any do; then all rows must come
    /// again, to add_again().
    [[nodiscard]] bool choose_logs();

    void add_again(std::span<const float> row);

    /// Returns the columns as they are in the recipe. It does not look at labels or at other rows.
    [[nodiscard]] std::vector<Column> columns() const;

    /// Returns for each column of categories which code of columns() a stored code becomes; empty for
    /// columns of numbers.
    [[nodiscard]] std::vector<std::vector<float>> codes() const;

private:
    [[nodiscard]] bool amounts(std::size_t column) const;
    [[nodiscard]] std::vector<bool> kept_words(std::size_t column) const;

    std::vector<Column> columns_;
    std::vector<LogChoice> logs_;
    std::vector<ExactMoments> moments_;
    std::vector<Magnitudes> magnitudes_;
    std::vector<std::uint64_t> negative_;             ///< values below 0
    std::vector<std::vector<std::uint64_t>> counts_;  ///< training rows of each stored code
};

}  // namespace starling::data
