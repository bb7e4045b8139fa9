// csv:FILE: a table in a file of separated values.

#include "data/tables/csv.hpp"

#include "base/check.hpp"
#include "data/sources/sources.hpp"
#include "data/sources/table.hpp"

namespace starling::data {

namespace {

constexpr std::int64_t kSkipMax = 1'000'000;

class CsvFormat final : public TableFormat {
public:
    [[nodiscard]] std::string_view keys() const override { return ",skip,header"; }

    Result<void> configure(const Spec& spec) override {
        const auto skip = spec.integer("skip", 0, 0, kSkipMax);
        if (!skip) return skip.error();
        skip_ = static_cast<std::uint64_t>(*skip);
        if (!spec.options.contains("header")) return {};
        const auto header = spec.integer("header", 1, 0, 1);
        if (!header) return header.error();
        header_ = *header == 1;
        return {};
    }

    Result<void> scan(const std::string& path, const TableOptions& options, ScanNotes& notes)
        override {
        path_ = path;
        if (auto ok = open(); !ok) return ok;
        auto facts = scan_csv(*stream_, {std::nullopt, header_, options});
        if (!facts) return facts.error();
        facts_ = std::move(*facts);
        notes.lines.push_back(path + ": " + facts_.guess);
        return {};
    }

    [[nodiscard]] const TableFacts& facts() const override { return facts_.table; }

    Result<void> begin(std::vector<std::size_t> columns) override {
        if (auto ok = open(); !ok) return ok;
        auto rows = CsvRows::open(*stream_, facts_, std::move(columns));
        if (!rows) return rows.error();
        rows_.emplace(std::move(*rows));
        return {};
    }

    Result<bool> next(std::span<double> values) override {
        STARLING_CHECK(rows_.has_value());
        return rows_->next(values);
    }

    [[nodiscard]] std::uint64_t line() const override { return skip_ + rows_->line(); }

private:
    /// Opens the file behind the lines that are left out.
    Result<void> open() {
        auto stream = FileStream::open(path_);
        if (!stream) return stream.error();
        stream_.emplace(std::move(*stream));
        return stream_->leave_out_lines(skip_);
    }

    std::string path_;
    CsvFacts facts_;
    std::uint64_t skip_ = 0;      ///< lines at the beginning that are no rows
    std::optional<bool> header_;  ///< guessed if it is not given
    std::optional<FileStream> stream_;
    std::optional<CsvRows> rows_;
};

}  // namespace

std::unique_ptr<TableFormat> csv_format() {
    return std::make_unique<CsvFormat>();
}

Result<SourcePointer> open_csv(const Spec& spec, const ScanOptions& options) {
    return open_table(spec, options, csv_format());
}

}  // namespace starling::data
