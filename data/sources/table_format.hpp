#pragma once

// What a format of tables must give: its facts, and its rows as numbers.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/spec.hpp"
#include "data/source.hpp"
#include "data/tables/table_facts.hpp"

namespace starling::data {

/// One file of rows, which is read twice: once for the facts, and once for the numbers.
/// Thread    one at a time
class TableFormat {
public:
    TableFormat() = default;
    virtual ~TableFormat() = default;
    TableFormat(const TableFormat&) = delete;
    TableFormat& operator=(const TableFormat&) = delete;

    /// Returns the options that this format has besides those of every table, each behind a comma.
    [[nodiscard]] virtual std::string_view keys() const { return {}; }

    /// Reads those options.
    /// Errors    Usage
    [[nodiscard]] virtual Result<void> configure(const Spec& /*spec*/) { return {}; }

    /// Reads the whole file. What is odd about it, and rows that cannot be used, go into `notes`.
    /// Errors    those of the format's scan
    [[nodiscard]] virtual Result<void> scan(
        const std::string& path, const TableOptions& options, ScanNotes& notes
    ) = 0;

    /// Requires  a scan that succeeded
    [[nodiscard]] virtual const TableFacts& facts() const = 0;

    /// Goes to the first row, of which these columns are wanted.
    /// Errors    Unsupported, as CellCodes
    [[nodiscard]] virtual Result<void> begin(std::vector<std::size_t> columns) = 0;

    /// Reads the next row as CsvRows::next does. Returns false at the end.
    [[nodiscard]] virtual Result<bool> next(std::span<double> values) = 0;

    /// Returns the line on which the last row began, or the number of the row where a file has no lines.
    [[nodiscard]] virtual std::uint64_t line() const = 0;

    /// Returns what line() counts.
    [[nodiscard]] virtual std::string_view unit() const { return "line"; }
};

}  // namespace starling::data
