// jsonl:FILE: a table with one JSON object a line.

#include "data/tables/jsonl.hpp"

#include "base/check.hpp"
#include "data/sources/sources.hpp"
#include "data/sources/table.hpp"

namespace starling::data {

namespace {

class JsonlFormat final : public TableFormat {
public:
    Result<void> scan(const std::string& path, const TableOptions& options, ScanNotes& notes)
        override {
        path_ = path;
        auto stream = FileStream::open(path);
        if (!stream) return stream.error();
        auto facts = scan_jsonl(*stream, options);
        if (!facts) return facts.error();
        facts_ = std::move(*facts);
        note_wrong_lines(path, facts_.wrong, notes);
        return {};
    }

    [[nodiscard]] const TableFacts& facts() const override { return facts_.table; }

    Result<void> begin(std::vector<std::size_t> columns) override {
        auto stream = FileStream::open(path_);
        if (!stream) return stream.error();
        stream_.emplace(std::move(*stream));
        auto rows = JsonlRows::open(*stream_, facts_, std::move(columns));
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
    JsonlFacts facts_;
    std::optional<FileStream> stream_;
    std::optional<JsonlRows> rows_;
};

}  // namespace

void note_wrong_lines(const std::string& path, const LineFindings& wrong, ScanNotes& notes) {
    for (const auto& finding : wrong.first) {
        notes.skip(path + ": line " + std::to_string(finding.line), finding.what);
    }
    notes.skipped += wrong.count - wrong.first.size();
}

std::unique_ptr<TableFormat> jsonl_format() {
    return std::make_unique<JsonlFormat>();
}

Result<SourcePointer> open_jsonl(const Spec& spec, const ScanOptions& options) {
    return open_table(spec, options, jsonl_format());
}

}  // namespace starling::data
