// parquet:FILE: a table in a Parquet file.

#include "base/check.hpp"
#include "base/printable.hpp"
#include "data/parquet/table.hpp"
#include "data/sources/sources.hpp"
#include "data/sources/table.hpp"

namespace starling::data {

namespace {

class ParquetFormat final : public TableFormat {
public:
    Result<void> scan(const std::string& path, const TableOptions& options, ScanNotes& notes)
        override {
        auto bytes = FileBytes::open(path);
        if (!bytes) return bytes.error();
        bytes_ = std::move(*bytes);
        auto file = ParquetFile::open(*bytes_);
        if (!file) return file.error();
        file_.emplace(std::move(*file));
        for (const auto& column : file_->columns()) {
            const auto name = path + ": column " + printable(column.name);
            if (!column.why.empty()) {
                notes.lines.push_back(name + " is not read: it has " + column.why);
            } else if (!column.unit.empty() && column.readable()) {
                notes.lines.push_back(name + " counts " + column.unit);
            }
        }
        auto facts = scan_parquet(*file_, options);
        if (!facts) return facts.error();
        facts_ = std::move(*facts);
        return {};
    }

    [[nodiscard]] const TableFacts& facts() const override { return facts_; }

    Result<void> begin(std::vector<std::size_t> columns) override {
        STARLING_CHECK(file_.has_value());
        auto rows = ParquetRows::open(*file_, facts_, std::move(columns));
        if (!rows) return rows.error();
        rows_.emplace(std::move(*rows));
        return {};
    }

    Result<bool> next(std::span<double> values) override {
        STARLING_CHECK(rows_.has_value());
        return rows_->next(values);
    }

    [[nodiscard]] std::uint64_t line() const override { return rows_->row(); }

    [[nodiscard]] std::string_view unit() const override { return "row"; }

private:
    std::unique_ptr<FileBytes> bytes_;
    std::optional<ParquetFile> file_;
    TableFacts facts_;
    std::optional<ParquetRows> rows_;
};

}  // namespace

std::unique_ptr<TableFormat> parquet_format() {
    return std::make_unique<ParquetFormat>();
}

Result<SourcePointer> open_parquet(const Spec& spec, const ScanOptions& options) {
    return open_table(spec, options, parquet_format());
}

}  // namespace starling::data
