#pragma once

// Tables in files of separated values: one pass that says what is there, and the rows as numbers.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "data/tables/csv_records.hpp"
#include "data/tables/table_facts.hpp"

namespace starling::data {

struct CsvOptions {
    std::optional<char> separator;  ///< else guessed: comma, semicolon or tab
    std::optional<bool> header;     ///< whether the first line names the columns; else guessed
    TableOptions table;
};

struct CsvFacts {
    TableFacts table;
    char separator = ',';
    bool header = false;
    /// What was guessed, for people: "separated by ';', the first line names the columns".
    std::string guess;
};

/// Reads the whole file once.
///
/// The separator is the one that cuts the first lines into equally many fields, at least two. The first
/// line names the columns if it has a word where all other first lines have numbers, or nothing but
/// distinct words. Columns without a name are called `column N`.
/// Errors    BadFormat (a row with more or fewer fields; a word in a column that was numbers; with the
///           line), Usage (an option names no column; no rows), those of CsvRecords
/// Thread    any
[[nodiscard]] Result<CsvFacts> scan_csv(ByteStream& stream, const CsvOptions& options);

/// Gives the rows of a file that was scanned, in order.
/// Thread    one at a time
class CsvRows {
public:
    /// Takes the columns of the table that are wanted, in the order of the values. `stream` (the file from its
    /// beginning) and `facts` must outlive this object.
    /// Errors    Unsupported, as CellCodes
    [[nodiscard]] static Result<CsvRows> open(
        ByteStream& stream, const CsvFacts& facts, std::vector<std::size_t> columns
    );

    /// Writes one value for each wanted column: a number, or the place of a word among the column's
    /// categories; NaN if it is missing. Returns false at the end of the file.
    /// Requires  values.size() is the number of wanted columns
    /// Errors    BadValue (the file is not what was scanned), those of CsvRecords
    [[nodiscard]] Result<bool> next(std::span<double> values);

    /// Returns the line on which the last row began.
    [[nodiscard]] std::uint64_t line() const { return record_.line; }

private:
    CsvRows(ByteStream& stream, const CsvFacts& facts, CellCodes codes);

    CsvRecords records_;
    const CsvFacts* facts_;
    CellCodes codes_;
    CsvRecord record_;
    bool header_due_;
};

}  // namespace starling::data
