#include "data/parquet/table.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "base/printable.hpp"

namespace starling::data {

namespace {

constexpr std::size_t kShownBytes = 64;

std::string shown(std::string_view text) {
    return printable(std::string(text.substr(0, kShownBytes)));
}

/// Adds the values of one column of one row group, of which the first row is `row` + 1.
Result<void> scan_chunk(
    const ParquetFile& file,
    ParquetColumnReader& reader,
    std::size_t column,
    std::uint64_t row,
    std::uint64_t rows,
    TableScan& table
) {
    for (std::uint64_t i = 0; i < rows; ++i) {
        Cell cell;
        if (auto read = reader.next(cell); !read) return read.error();
        if (!table.accepts(column, cell)) {
            return file.bytes().bad(
                FaultCode::BadValue,
                "row " + std::to_string(row + i + 1) + ", column '" + shown(table.name(column)) +
                    "': '" + shown(cell.text) + "' is a word, and numbers are wanted"
            );
        }
        Numeral numeral;
        if (table.takes_words(column)) cell = as_word(cell, numeral);
        table.add(column, cell);
    }
    return {};
}

}  // namespace

Result<TableFacts> scan_parquet(const ParquetFile& file, const TableOptions& options) {
    const auto& columns = file.columns();
    if (file.rows() == 0 || columns.empty()) {
        return file.bytes().bad(FaultCode::Usage, "there is no row in it");
    }
    TableScan table(options);
    ParquetRoom room;
    for (const auto& column : columns) table.add_column(column.name);
    std::uint64_t row = 0;
    for (std::size_t g = 0; g < file.row_groups(); ++g) {
        const auto group = file.row_group(g);
        if (!group) return group.error();
        for (std::size_t i = 0; i < columns.size(); ++i) {
            if (!columns[i].readable()) {
                for (std::uint64_t k = 0; k < group->rows; ++k) table.add_nested(i);
                continue;
            }
            const auto& name = columns[i].name;
            const bool numbers = std::find(options.numbers.begin(), options.numbers.end(), name) !=
                                 options.numbers.end();
            // A reader for each chunk: the page of one column alone is held.
            ParquetColumnReader reader(file, i, room, numbers);
            if (auto begun = reader.begin(group->chunks[i]); !begun) return begun.error();
            if (auto read = scan_chunk(file, reader, i, row, group->rows, table); !read) {
                return read.error();
            }
        }
        row += group->rows;
    }
    for (std::uint64_t i = 0; i < row; ++i) table.end_row();
    auto facts = table.facts();
    if (!facts) return file.bytes().bad(facts.error().code, facts.error().message);
    return facts;
}

Result<ParquetRows> ParquetRows::open(
    const ParquetFile& file, const TableFacts& facts, std::vector<std::size_t> columns
) {
    auto codes = CellCodes::make(facts, std::move(columns));
    if (!codes) return file.bytes().bad(codes.error().code, codes.error().message);
    return ParquetRows(file, facts, std::move(*codes));
}

ParquetRows::ParquetRows(const ParquetFile& file, const TableFacts& facts, CellCodes codes)
    : file_(&file),
      facts_(&facts),
      codes_(std::move(codes)),
      room_(std::make_unique<ParquetRoom>()) {
    for (const auto column : codes_.columns()) {
        const bool numbers = facts.columns[column].kind == ColumnKind::Number;
        readers_.push_back(std::make_unique<ParquetColumnReader>(file, column, *room_, numbers));
    }
}

Result<bool> ParquetRows::next(std::span<double> values) {
    STARLING_CHECK(values.size() == readers_.size());
    while (left_in_group_ == 0) {
        if (next_group_ == file_->row_groups()) return false;
        const auto group = file_->row_group(next_group_++);
        if (!group) return group.error();
        left_in_group_ = group->rows;
        if (left_in_group_ == 0) continue;
        for (std::size_t i = 0; i < readers_.size(); ++i) {
            const auto& chunk = group->chunks[codes_.columns()[i]];
            if (auto begun = readers_[i]->begin(chunk); !begun) return begun.error();
        }
    }
    --left_in_group_;
    ++row_;
    for (std::size_t i = 0; i < readers_.size(); ++i) {
        Cell cell;
        if (auto read = readers_[i]->next(cell); !read) return read.error();
        const auto column = codes_.columns()[i];
        Numeral numeral;
        const bool words = facts_->columns[column].kind == ColumnKind::Category;
        const auto code = codes_.code(column, words ? as_word(cell, numeral) : cell);
        if (!code) {
            return file_->bytes().bad(
                code.error().code, "row " + std::to_string(row_) + ": " + code.error().message
            );
        }
        values[i] = *code;
    }
    return true;
}

}  // namespace starling::data
