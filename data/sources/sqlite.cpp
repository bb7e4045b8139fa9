// sqlite:FILE: a table in a SQLite database, or what a SELECT over its tables gives.

#include "data/tables/sqlite.hpp"

#include "base/check.hpp"
#include "data/sources/sources.hpp"
#include "data/sources/table.hpp"

namespace starling::data {

namespace {

class SqliteFormat final : public TableFormat {
public:
    explicit SqliteFormat(SqliteChoice choice) : choice_(std::move(choice)) {}

    [[nodiscard]] std::string_view keys() const override { return ",query,table"; }

    Result<void> scan(const std::string& path, const TableOptions& options, ScanNotes& /*notes*/)
        override {
        auto table = SqliteTable::open(path, choice_);
        if (!table) return table.error();
        table_ = std::move(*table);
        return table_->scan(options);
    }

    [[nodiscard]] const TableFacts& facts() const override { return table_->facts(); }

    Result<void> begin(std::vector<std::size_t> columns) override {
        STARLING_CHECK(table_ != nullptr);
        return table_->begin(std::move(columns));
    }

    Result<bool> next(std::span<double> values) override { return table_->next(values); }

    [[nodiscard]] std::uint64_t line() const override { return table_->row(); }

    [[nodiscard]] std::string_view unit() const override { return "row"; }

private:
    SqliteChoice choice_;
    std::unique_ptr<SqliteTable> table_;
};

}  // namespace

Result<std::unique_ptr<TableFormat>> sqlite_format(const Spec& spec) {
    SqliteChoice choice{spec.text("query", ""), spec.text("table", "")};
    if (!choice.query.empty() && !choice.table.empty()) {
        return fail(
            FaultCode::Usage, "'" + spec.to_string() + "': give query= or table=, and not both"
        );
    }
    return std::unique_ptr<TableFormat>(std::make_unique<SqliteFormat>(std::move(choice)));
}

Result<SourcePointer> open_sqlite(const Spec& spec, const ScanOptions& options) {
    auto format = sqlite_format(spec);
    if (!format) return format.error();
    return open_table(spec, options, std::move(*format));
}

}  // namespace starling::data
