#pragma once

// Which rows of a table, or files by their names, are for testing.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/spec.hpp"
#include "data/manifest.hpp"
#include "data/tables/table_facts.hpp"

namespace starling::data {

struct SplitRule {
    std::string column;       ///< empty: rows are drawn
    std::int64_t modulo = 0;  ///< above 0: column % modulo == rest
    std::int64_t rest = 0;
    std::optional<double> below;  ///< else: column < below
    std::string value;            ///< else: column == value
    double test = 0.1;
    double valid = 0.0;

    /// Reads `split=ID%5==0`, `split=take<5` or `split=part=test`, and else the shares `test=` and `valid=`.
    /// Errors    Usage
    [[nodiscard]] static Result<SplitRule> read(const Spec& spec);

    /// Returns whether rows count by themselves if no column has the rule's name: `row%5==0`.
    [[nodiscard]] bool may_count() const;

    /// Returns where a row belongs. `facts` are those of the rule's column, whose value the cell is as
    /// CellCodes gives it; null where rows are drawn or counted.
    /// Thread    any (pure)
    [[nodiscard]] Split split_of(std::uint64_t row, double cell, const ColumnFacts* facts) const;

    /// Returns where a file belongs, of whose name this is the rule's field.
    /// Thread    any (pure)
    [[nodiscard]] Split split_of_text(std::string_view field) const;

private:
    [[nodiscard]] bool tests_number(double number) const;
};

}  // namespace starling::data
