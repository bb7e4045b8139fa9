#pragma once

// Tables in SQLite databases: what one SELECT gives.
//
// A database is a stranger's file: it is opened for reading alone, nothing but SELECT may run, and what
// its schema holds is not trusted. It is taken as it lies there: a log or a journal beside it that was
// not written back is refused, because the rows would be old ones.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "data/tables/table_facts.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace starling::data {

/// A longer text or blob in a cell is refused.
inline constexpr int kSqliteValueBytesMax = 16 << 20;

/// What is read. Without both it is the only table.
struct SqliteChoice {
    std::string query;  ///< a SELECT
    std::string table;  ///< the name of a table or a view
};

/// Thread    one at a time
class SqliteTable {
public:
    /// Opens the database and prepares the SELECT, of which no row is read yet.
    /// Errors    NotFound, Io, Usage (no such table; not one SELECT), BadFormat (no database), Busy (changes
    ///           that were not written back lie beside it); each names the file
    [[nodiscard]] static Result<std::unique_ptr<SqliteTable>> open(
        const std::string& path, const SqliteChoice& choice
    );

    ~SqliteTable();
    SqliteTable(const SqliteTable&) = delete;
    SqliteTable& operator=(const SqliteTable&) = delete;

    /// Reads all rows once. NULL and what a CSV file takes for missing are missing; a text is read as a
    /// cell of a CSV file is. Columns of blobs are Nested.
    /// Errors    Usage (an option names no column; no row), BadValue (a word or a blob among numbers, with
    ///           the row), BadFormat, Oversized, Cancelled
    [[nodiscard]] Result<void> scan(const TableOptions& options);

    /// Requires  a scan that succeeded
    [[nodiscard]] const TableFacts& facts() const { return facts_; }

    /// As CsvRows::open.
    [[nodiscard]] Result<void> begin(std::vector<std::size_t> columns);

    /// As CsvRows::next.
    [[nodiscard]] Result<bool> next(std::span<double> values);

    /// Returns the number of the last row; the first one is 1.
    [[nodiscard]] std::uint64_t row() const { return row_; }

private:
    explicit SqliteTable(std::string path) : path_(std::move(path)) {}

    [[nodiscard]] Result<void> connect();
    [[nodiscard]] Result<std::string> only_table() const;
    [[nodiscard]] Result<void> prepare(const std::string& query);
    [[nodiscard]] Result<bool> step();
    [[nodiscard]] Result<void> add_cell(TableScan& table, int column) const;
    [[nodiscard]] Fault bad(FaultCode code, const std::string& what) const;
    [[nodiscard]] Fault failed(int code) const;

    std::string path_;
    sqlite3* database_ = nullptr;
    sqlite3_stmt* statement_ = nullptr;
    TableFacts facts_;
    std::unique_ptr<CellCodes> codes_;
    std::uint64_t row_ = 0;
};

}  // namespace starling::data
