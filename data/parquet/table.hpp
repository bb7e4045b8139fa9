#pragma once

// Tables in Parquet files.
//
// A column has one type, so it has words or numbers and never both: texts are words even where they
// look like numbers, unless the user says that they are numbers.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.hpp"
#include "data/parquet/column_reader.hpp"
#include "data/parquet/metadata.hpp"
#include "data/tables/table_facts.hpp"

namespace starling::data {

/// Reads all values once, column by column, so one page of one column is in memory. Columns that are
/// lists, maps or structs, and those of types that are not read, are Nested.
/// Errors    Usage (an option names no column; no row), BadValue (a word where the user says numbers),
///           those of ParquetColumnReader
/// Thread    any
[[nodiscard]] Result<TableFacts> scan_parquet(const ParquetFile& file, const TableOptions& options);

/// Gives the rows of a file that was scanned, in order. One page of each column is in memory.
/// Thread    one at a time
class ParquetRows {
public:
    /// As CsvRows::open. `file` and `facts` must outlive this object.
    [[nodiscard]] static Result<ParquetRows> open(
        const ParquetFile& file, const TableFacts& facts, std::vector<std::size_t> columns
    );

    /// As CsvRows::next.
    [[nodiscard]] Result<bool> next(std::span<double> values);

    /// Returns the number of the last row; the first one is 1.
    [[nodiscard]] std::uint64_t row() const { return row_; }

private:
    ParquetRows(const ParquetFile& file, const TableFacts& facts, CellCodes codes);

    const ParquetFile* file_;
    const TableFacts* facts_;
    CellCodes codes_;
    std::unique_ptr<ParquetRoom> room_;
    std::vector<std::unique_ptr<ParquetColumnReader>> readers_;  ///< in the order of the values
    std::size_t next_group_ = 0;
    std::uint64_t left_in_group_ = 0;
    std::uint64_t row_ = 0;
};

}  // namespace starling::data
