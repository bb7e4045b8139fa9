#pragma once

// What one pass over a table sees of its columns, whatever the file's format.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "data/tables/cell.hpp"
#include "data/tables/exact_moments.hpp"

namespace starling::data {

/// Distinct values are kept up to these numbers, and up to kDistinctBytesMax in all columns together.
inline constexpr std::size_t kDistinctNumbersMax = 1024;
inline constexpr std::size_t kDistinctWordsOfColumnMax = 65536;
inline constexpr std::size_t kDistinctBytesOfTableMax = std::size_t{32} << 20U;

enum class ColumnKind {
    Empty,     ///< every value is missing
    Number,    ///< every value is a number
    Category,  ///< values are words, taken as they stand
    Nested,    ///< lists, objects and other values that are not read
};

[[nodiscard]] std::string_view to_string(ColumnKind kind);

struct ColumnFacts {
    std::string name;
    ColumnKind kind = ColumnKind::Empty;
    bool numbers_only = false;  ///< an option says that words are errors
    std::uint64_t count = 0;    ///< values that are not missing
    std::uint64_t missing = 0;  ///< count + missing = rows
    /// Of numbers, over the values that are not missing; they do not depend on the order of rows.
    double min = 0;
    double max = 0;
    double mean = 0;
    double deviation = 0;  ///< divided by n
    bool whole = false;    ///< no number has a fraction
    /// Distinct values with their counts, sorted; empty if there are too many (`distinct_known`).
    std::vector<std::pair<double, std::uint64_t>> numbers;
    std::vector<std::pair<std::string, std::uint64_t>> categories;
    bool distinct_known = true;

    /// Whether a model can learn nothing from it.
    [[nodiscard]] bool constant() const {
        return kind == ColumnKind::Empty || (kind == ColumnKind::Number && min == max) ||
               (kind == ColumnKind::Category && distinct_known && categories.size() == 1);
    }
};

struct TableFacts {
    std::uint64_t rows = 0;
    std::vector<ColumnFacts> columns;

    /// Returns the place of a column.
    /// Errors    Usage: no such column, or several; the message lists the columns
    [[nodiscard]] Result<std::size_t> column(std::string_view name) const;
};

/// What the user says of columns.
struct TableOptions {
    std::vector<std::string> categories;  ///< their values are words even if they look like numbers
    std::vector<std::string> numbers;     ///< a word in them is an error even if it comes first
};

/// Collects the facts, cell by cell. Memory is bounded by the number of columns (2 KiB each) and
/// kDistinctBytesOfTableMax.
/// Thread    one at a time
class TableScan {
public:
    explicit TableScan(TableOptions options) : options_(std::move(options)) {}

    /// Adds a column, in which the rows so far have no value. Returns its place.
    std::size_t add_column(std::string name);

    [[nodiscard]] std::size_t columns() const { return columns_.size(); }

    [[nodiscard]] const std::string& name(std::size_t column) const {
        return columns_[column].facts.name;
    }

    /// Returns whether the cell fits into the column: a word does not fit among numbers.
    [[nodiscard]] bool accepts(std::size_t column, const Cell& cell) const {
        return cell.kind != CellKind::Word || columns_[column].words_allowed;
    }

    /// Returns whether the column's values are words: a number then needs its text.
    [[nodiscard]] bool takes_words(std::size_t column) const {
        const auto& c = columns_[column];
        return c.category || c.facts.kind == ColumnKind::Category;
    }

    /// Returns whether a list or an object fits into the column: not among single values.
    [[nodiscard]] bool accepts_nested(std::size_t column) const {
        return columns_[column].facts.count == 0 ||
               columns_[column].facts.kind == ColumnKind::Nested;
    }

    /// Adds a cell. Requires that the column accepts it, and at most one cell in each row.
    void add(std::size_t column, const Cell& cell);

    /// Notes that a column has a list or an object in this row. Requires that the column accepts it.
    void add_nested(std::size_t column);

    void end_row() { ++rows_; }

    /// Returns what was seen.
    /// Errors    Usage: an option names a column that is not there
    [[nodiscard]] Result<TableFacts> facts() const;

private:
    struct TextHash {
        using is_transparent = void;

        std::size_t operator()(std::string_view text) const {
            return std::hash<std::string_view>{}(text);
        }
    };

    struct CountedNumber {
        double value = 0;
        std::uint64_t count = 0;
    };

    struct Column {
        ColumnFacts facts;
        ExactMoments moments;
        bool words_allowed = true;
        bool category = false;               ///< the user says so
        std::vector<CountedNumber> numbers;  ///< open addressing, at most half full
        std::size_t distinct_numbers = 0;
        std::unordered_map<std::string, std::uint64_t, TextHash, std::equal_to<>> words;
        std::size_t distinct_bytes = 0;
    };

    void add_number(Column& column, double value);
    void add_word(Column& column, std::string_view word);
    void count_number(Column& column, double value);
    void grow_numbers(Column& column);
    void give_up_distinct(Column& column);
    [[nodiscard]] bool charge(Column& column, std::size_t bytes);

    TableOptions options_;
    std::vector<Column> columns_;
    std::uint64_t rows_ = 0;
    std::size_t distinct_bytes_ = 0;
};

/// Turns cells into what a model is fed with: numbers as they are, words as their place among the sorted
/// categories, NaN for what is missing.
/// Thread    any, if each has its own
class CellCodes {
public:
    /// `facts` must outlive this object.
    /// Errors    Unsupported: one of the columns has too many distinct words, or nested values
    [[nodiscard]] static Result<CellCodes> make(
        const TableFacts& facts, std::vector<std::size_t> columns
    );

    [[nodiscard]] const std::vector<std::size_t>& columns() const { return columns_; }

    /// Errors    BadValue: a word that was not there when the table was scanned
    [[nodiscard]] Result<double> code(std::size_t column, const Cell& cell) const;

private:
    const TableFacts* facts_ = nullptr;
    std::vector<std::size_t> columns_;
    std::vector<std::unordered_map<std::string_view, double>> codes_;  ///< by column of the table
};

}  // namespace starling::data
