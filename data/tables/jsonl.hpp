#pragma once

// Files with one JSON object a line: as a table, or as documents of text.
//
// A line that is wrong is a finding and no failure: whoever reads decides whether to skip it.

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "data/formats/json.hpp"
#include "data/formats/line_reader.hpp"
#include "data/tables/table_facts.hpp"

namespace starling::data {

inline constexpr std::size_t kJsonLineBytesMax = std::size_t{16} << 20U;
inline constexpr std::size_t kFindingsKept = 10;

/// One line that is wrong, and why, in one line of text.
struct LineFinding {
    std::uint64_t line = 0;
    std::string what;
};

/// The wrong lines of a file: how many, and the first ones.
struct LineFindings {
    std::uint64_t count = 0;
    std::vector<LineFinding> first;

    void add(std::uint64_t line, std::string what);
};

struct JsonlFacts {
    TableFacts table;  ///< of the lines that are right; columns in the order in which they appear
    LineFindings wrong;
};

/// Reads the whole file once, as a table. Each field of an object is a column; true and false are 1 and
/// 0, null and an absent field are missing, a text is read as a cell of a CSV file is. Empty lines are
/// skipped.
///
/// Wrong is a line that is not an object, that has one field twice, or that has a word in a column that
/// was numbers.
/// Errors    Usage (an option names no column; no row), Oversized (a line, or the number of columns), those
///           of the stream
/// Thread    any
[[nodiscard]] Result<JsonlFacts> scan_jsonl(ByteStream& stream, const TableOptions& options);

/// Gives the rows of a file that was scanned, in order, without the wrong lines.
/// Thread    one at a time
class JsonlRows {
public:
    /// As CsvRows::open.
    [[nodiscard]] static Result<JsonlRows> open(
        ByteStream& stream, const JsonlFacts& facts, std::vector<std::size_t> columns
    );

    /// As CsvRows::next.
    [[nodiscard]] Result<bool> next(std::span<double> values);

    /// Returns the line of the last row.
    [[nodiscard]] std::uint64_t line() const { return lines_.number(); }

    /// Returns how many lines were wrong until now.
    [[nodiscard]] std::uint64_t skipped() const { return skipped_; }

private:
    JsonlRows(ByteStream& stream, const JsonlFacts& facts, CellCodes codes);

    [[nodiscard]] Result<bool> read(std::string_view line, std::span<double> values);
    [[nodiscard]] std::size_t place_of(std::string_view name, std::size_t guess) const;

    LineReader lines_;
    JsonParser parser_;
    const JsonlFacts* facts_;
    CellCodes codes_;
    std::map<std::string, std::size_t, std::less<>> places_;  ///< of all columns
    std::vector<std::size_t> wanted_;  ///< by column: its place among the values, or kNowhere
    std::vector<std::uint64_t> seen_;  ///< by column: the line that last had it
    std::uint64_t skipped_ = 0;
};

/// Gives the texts of one field, in order.
/// Thread    one at a time
class JsonlTexts {
public:
    /// The stream must outlive this object.
    JsonlTexts(ByteStream& stream, std::string field);

    /// Returns the next text, or none at the end of the file. It is valid until the next call. Lines
    /// without the field, or where it is not a text, are wrong, too: they are skipped and counted.
    /// Errors    Oversized, those of the stream
    [[nodiscard]] Result<std::optional<std::string_view>> next();

    [[nodiscard]] const LineFindings& wrong() const { return wrong_; }

private:
    LineReader lines_;
    JsonParser parser_;
    std::string field_;
    LineFindings wrong_;
};

}  // namespace starling::data
