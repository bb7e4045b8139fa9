// csv:FILE: a table in a file of separated values.

#include "data/tables/csv.hpp"

#include "base/check.hpp"
#include "data/sources/sources.hpp"
#include "data/sources/table.hpp"

namespace starling::data {

namespace {

class CsvFormat final : public TableFormat {
public:
    Result<void> scan(const std::string& path, const TableOptions& options, ScanNotes& notes)
        override {
        path_ = path;
        auto stream = FileStream::open(path);
        if (!stream) return stream.error();
        auto facts = scan_csv(*stream, {std::nullopt, std::nullopt, options});
        if (!facts) return facts.error();
        facts_ = std::move(*facts);
        notes.lines.push_back(path + ": " + facts_.guess);
        return {};
    }

    [[nodiscard]] const TableFacts& facts() const override { return facts_.table; }

    Result<void> begin(std::vector<std::size_t> columns) override {
        auto stream = FileStream::open(path_);
        if (!stream) return stream.error();
        stream_.emplace(std::move(*stream));
        auto rows = CsvRows::open(*stream_, facts_, std::move(columns));
        if (!rows) return rows.error();
        rows_.emplace(std::move(*rows));
        return {};
    }

    Result<bool> next(std::span<double> values) override {
        STARLING_CHECK(rows_.has_value());
        return rows_->next(values);
    }

    [[nodiscard]] std::uint64_t line() const override { return rows_->line(); }

private:
    std::string path_;
    CsvFacts facts_;
    std::optional<FileStream> stream_;
    std::optional<CsvRows> rows_;
};

}  // namespace

Result<SourcePointer> open_csv(const Spec& spec, const ScanOptions& options) {
    return open_table(spec, options, std::make_unique<CsvFormat>());
}

}  // namespace starling::data
