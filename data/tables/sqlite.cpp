#include "data/tables/sqlite.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <sqlite3.h>
#include <string_view>

#include "base/check.hpp"
#include "base/printable.hpp"
#include "data/formats/random_bytes.hpp"
#include "data/reading.hpp"
#include "data/tables/csv_records.hpp"

namespace starling::data {

namespace {

constexpr int kQueryBytesMax = 1 << 16;
constexpr int kStepsBetweenLooks = 100000;
constexpr std::size_t kShownBytes = 64;

std::string shown(std::string_view text) {
    return printable(std::string(text.substr(0, kShownBytes)));
}

/// Writes a path as a URI, so that a ? or a # in it stays one.
std::string uri_of(const std::string& path) {
    static constexpr std::string_view kHex = "0123456789ABCDEF";
    std::string uri = "file:";
    // A URI that begins with two slashes would name a host.
    if (path.starts_with("//")) uri += "//";
    for (const char c : path) {
        if (c == '?' || c == '#' || c == '%') {
            const auto byte = static_cast<unsigned char>(c);
            uri += {'%', kHex[byte >> 4U], kHex[byte & 15U]};
        } else {
            uri += c;
        }
    }
    return uri + "?mode=ro&immutable=1";
}

/// A table of the same file must be the same one for every peer, in each of its two readings.
bool differs_each_time(const char* function) {
    const std::string_view name(function == nullptr ? "" : function);
    return name == "random" || name == "randomblob" || name == "load_extension";
}

int authorize(void*, int action, const char*, const char* name, const char*, const char*) {
    switch (action) {
        case SQLITE_SELECT:
        case SQLITE_READ:
        case SQLITE_RECURSIVE:
            return SQLITE_OK;
        case SQLITE_FUNCTION:
            return differs_each_time(name) ? SQLITE_DENY : SQLITE_OK;
        default:
            return SQLITE_DENY;
    }
}

/// Ends a statement that goes on for ever when the reading is stopped.
int look(void* path) {
    return Reading::advance(*static_cast<const std::string*>(path), 0, 0, 1) ? 0 : 1;
}

/// SQLite takes the missing end of a file that was cut short for zeros, so its head is asked.
/// Source    SQLite's "Database File Format", 1.3
Result<void> check_size(const RandomBytes& file) {
    constexpr std::string_view kMagic{"SQLite format 3\0", 16};
    std::array<std::uint8_t, 100> head{};
    const auto read = file.read_at(0, head);
    if (!read && read.error().code != FaultCode::Truncated) return read.error();
    if (!read || !std::equal(kMagic.begin(), kMagic.end(), head.begin())) {
        return file.bad(FaultCode::BadFormat, "it is no SQLite database, or it is encrypted");
    }
    const auto number = [&](std::size_t at, std::size_t bytes) {
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < bytes; ++i) value = (value << 8U) | head[at + i];
        return value;
    };
    const auto page = number(16, 2) == 1 ? 65536 : number(16, 2);
    // Where the two counters differ, an older SQLite wrote last and left the number of pages alone.
    const auto pages = number(24, 4) == number(92, 4) ? number(28, 4) : 0;
    if (file.size() >= page * pages) return {};
    return file.bad(
        FaultCode::Truncated,
        "it ends at byte " + std::to_string(file.size()) + " of " + std::to_string(page * pages) +
            "; fetch it again"
    );
}

std::string identifier(const std::string& name) {
    std::string text = "\"";
    for (const char c : name) text += c == '"' ? std::string("\"\"") : std::string(1, c);
    return text + '"';
}

std::string_view text_of(sqlite3_stmt* statement, int column) {
    const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, column));
    if (text == nullptr) return {};
    return {text, static_cast<std::size_t>(sqlite3_column_bytes(statement, column))};
}

/// Reads a value that is no blob. Its text is valid until the next row.
Cell cell_of(sqlite3_stmt* statement, int column) {
    switch (sqlite3_column_type(statement, column)) {
        case SQLITE_INTEGER:
            return {
                CellKind::Number, static_cast<double>(sqlite3_column_int64(statement, column)), {}};
        case SQLITE_FLOAT: {
            const double value = sqlite3_column_double(statement, column);
            if (!std::isfinite(value)) return {};
            return {CellKind::Number, value, {}};
        }
        case SQLITE_TEXT:
            return read_cell(text_of(statement, column));
        default:
            return {};
    }
}

}  // namespace

Fault SqliteTable::bad(FaultCode code, const std::string& what) const {
    return fail(code, path_ + ": " + what);
}

/// Says what SQLite refused, with its own words where they say more than the code.
Fault SqliteTable::failed(int code) const {
    const auto row = row_ == 0 ? std::string() : "row " + std::to_string(row_) + ": ";
    switch (code & 0xff) {
        case SQLITE_CORRUPT:
            return bad(FaultCode::BadFormat, row + "the database is damaged; fetch it again");
        case SQLITE_NOTADB:
            return bad(FaultCode::BadFormat, "it is no SQLite database, or it is encrypted");
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
            return bad(FaultCode::Busy, "another program uses it; try again later");
        case SQLITE_INTERRUPT:
            return bad(FaultCode::Cancelled, "the reading was stopped");
        case SQLITE_NOMEM:
        case SQLITE_TOOBIG:
            return bad(
                FaultCode::Oversized, row + "a value of over 16 MiB, or a query over 64 KiB"
            );
        case SQLITE_IOERR:
        case SQLITE_CANTOPEN:
            return bad(FaultCode::Io, row + "it cannot be read, or was cut short");
        case SQLITE_AUTH:
            return bad(
                FaultCode::Usage,
                "only SELECT is allowed in query=, without random() and without PRAGMA"
            );
        default:
            return bad(FaultCode::Usage, row + shown(sqlite3_errmsg(database_)));
    }
}

Result<std::unique_ptr<SqliteTable>> SqliteTable::open(
    const std::string& path, const SqliteChoice& choice
) {
    std::unique_ptr<SqliteTable> table(new SqliteTable(path));
    if (auto ok = table->connect(); !ok) return ok.error();
    auto query = choice.query;
    if (query.empty()) {
        auto name = choice.table.empty() ? table->only_table() : Result<std::string>(choice.table);
        if (!name) return name.error();
        query = "SELECT * FROM " + identifier(*name);
    }
    if (auto ok = table->prepare(query); !ok) return ok.error();
    return table;
}

SqliteTable::~SqliteTable() {
    sqlite3_finalize(statement_);
    sqlite3_close(database_);
}

Result<void> SqliteTable::connect() {
    const auto file = FileBytes::open(path_);
    if (!file) return file.error();
    if (auto whole = check_size(**file); !whole) return whole.error();
    for (const char* suffix : {"-wal", "-journal"}) {
        std::error_code error;
        const auto size = std::filesystem::file_size(path_ + suffix, error);
        if (error || size == 0) continue;
        return bad(
            FaultCode::Busy,
            "changes in " + path_ + suffix +
                " were not written back; close the program that uses it, or open it with sqlite3 "
                "once"
        );
    }
    constexpr int kFlags = SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX;
    if (const int code = sqlite3_open_v2(uri_of(path_).c_str(), &database_, kFlags, nullptr);
        code != SQLITE_OK) {
        return failed(code);
    }
    sqlite3_limit(database_, SQLITE_LIMIT_LENGTH, kSqliteValueBytesMax);
    sqlite3_limit(database_, SQLITE_LIMIT_SQL_LENGTH, kQueryBytesMax);
    sqlite3_limit(database_, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_limit(database_, SQLITE_LIMIT_COLUMN, static_cast<int>(kColumnsMax));
    sqlite3_db_config(database_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
    sqlite3_db_config(database_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
    // A mapped file that somebody cuts short would kill the process.
    const int set = sqlite3_exec(
        database_, "PRAGMA mmap_size=0; PRAGMA cell_size_check=1", nullptr, nullptr, nullptr
    );
    if (set != SQLITE_OK) return failed(set);
    sqlite3_set_authorizer(database_, authorize, nullptr);
    sqlite3_progress_handler(database_, kStepsBetweenLooks, look, &path_);
    return {};
}

Result<std::string> SqliteTable::only_table() const {
    sqlite3_stmt* list = nullptr;
    constexpr const char* kQuery =
        "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE "
        "'sqlite^_%' "
        "ESCAPE '^' ORDER BY name LIMIT 20";
    int code = sqlite3_prepare_v2(database_, kQuery, -1, &list, nullptr);
    std::string names;
    std::string last;
    int count = 0;
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(list);
        if (code != SQLITE_ROW) break;
        last = std::string(text_of(list, 0));
        names += (count++ == 0 ? "" : ", ") + shown(last);
    }
    sqlite3_finalize(list);
    if (code != SQLITE_DONE) return failed(code);
    if (count == 1) return last;
    return bad(
        FaultCode::Usage,
        count == 0
            ? "there is no table in it"
            : "there are several tables; give table=NAME of " + names + ", or query=SELECT..."
    );
}

Result<void> SqliteTable::prepare(const std::string& query) {
    const char* rest = nullptr;
    const int code = sqlite3_prepare_v2(
        database_, query.c_str(), static_cast<int>(query.size()) + 1, &statement_, &rest
    );
    if (code != SQLITE_OK) return failed(code);
    const std::string_view tail(rest == nullptr ? "" : rest);
    const bool alone = tail.find_first_not_of(" \t\r\n;") == std::string_view::npos;
    if (statement_ == nullptr || !alone || sqlite3_stmt_readonly(statement_) == 0 ||
        sqlite3_column_count(statement_) == 0 || sqlite3_stmt_isexplain(statement_) != 0) {
        return bad(FaultCode::Usage, "query= wants one SELECT");
    }
    if (sqlite3_bind_parameter_count(statement_) > 0) {
        return bad(FaultCode::Usage, "a parameter in query= has no value; write the value itself");
    }
    return {};
}

Result<bool> SqliteTable::step() {
    const int code = sqlite3_step(statement_);
    if (code == SQLITE_ROW) {
        ++row_;
        return true;
    }
    if (code == SQLITE_DONE) return false;
    return failed(code);
}

Result<void> SqliteTable::add_cell(TableScan& table, int column) const {
    const auto place = static_cast<std::size_t>(column);
    const auto wrong = [&](const std::string& what) {
        return bad(
            FaultCode::BadValue,
            "row " + std::to_string(row_) + ", column '" + shown(table.name(place)) + "': " + what
        );
    };
    if (sqlite3_column_type(statement_, column) == SQLITE_BLOB) {
        if (!table.accepts_nested(place)) return wrong("a blob, and the rows before have values");
        table.add_nested(place);
        return {};
    }
    auto cell = cell_of(statement_, column);
    if (!table.accepts(place, cell)) {
        return wrong(
            "'" + shown(cell.text) +
            "' is a word, and the rows before have numbers; name the column in categories= if it "
            "has words"
        );
    }
    Numeral numeral;
    if (table.takes_words(place)) cell = as_word(cell, numeral);
    table.add(place, cell);
    return {};
}

Result<void> SqliteTable::scan(const TableOptions& options) {
    TableScan table(options);
    const int columns = sqlite3_column_count(statement_);
    for (int i = 0; i < columns; ++i) {
        const char* name = sqlite3_column_name(statement_, i);
        table.add_column(name == nullptr ? "column " + std::to_string(i + 1) : name);
    }
    while (true) {
        const auto more = step();
        if (!more) return more.error();
        if (!*more) break;
        for (int i = 0; i < columns; ++i) {
            if (auto ok = add_cell(table, i); !ok) return ok.error();
        }
        table.end_row();
    }
    if (row_ == 0) return bad(FaultCode::Usage, "there is no row in it");
    auto facts = table.facts();
    if (!facts) return bad(facts.error().code, facts.error().message);
    facts_ = std::move(*facts);
    return {};
}

Result<void> SqliteTable::begin(std::vector<std::size_t> columns) {
    auto codes = CellCodes::make(facts_, std::move(columns));
    if (!codes) return bad(codes.error().code, codes.error().message);
    codes_ = std::make_unique<CellCodes>(std::move(*codes));
    row_ = 0;
    // What went wrong in the last step was told then.
    sqlite3_reset(statement_);
    return {};
}

Result<bool> SqliteTable::next(std::span<double> values) {
    STARLING_CHECK(codes_ != nullptr && values.size() == codes_->columns().size());
    const auto more = step();
    if (!more || !*more) return more;
    for (std::size_t i = 0; i < values.size(); ++i) {
        const auto column = codes_->columns()[i];
        Numeral numeral;
        const bool words = facts_.columns[column].kind == ColumnKind::Category;
        auto cell = cell_of(statement_, static_cast<int>(column));
        if (words) cell = as_word(cell, numeral);
        const auto code = codes_->code(column, cell);
        if (!code) {
            return bad(
                code.error().code, "row " + std::to_string(row_) + ": " + code.error().message
            );
        }
        values[i] = *code;
    }
    return true;
}

}  // namespace starling::data
