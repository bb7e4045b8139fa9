#pragma once

// A table of all types and encodings as a plan for a file and as what is to be read from it, and the
// reading of a whole file as texts.

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "base/spec.hpp"
#include "data/parquet/table.hpp"
#include "tests/unit/data/parquet/parquet_writer.hpp"

namespace starling::data::testing {

/// One value: its bytes, and how it is to be read.
struct SampleValue {
    std::string bytes;
    std::string text;
};

/// Cells as texts: numbers as `shortest_text` has them, words after a quote mark, `-` for a missing one.
using SampleTable = std::vector<std::vector<std::string>>;  ///< by column

struct ParquetSample {
    ParquetFilePlan plan;
    SampleTable expected;

    using Value = std::function<std::optional<SampleValue>(int row)>;

    void add(ParquetPlan column, int rows, const Value& value) {
        expected.emplace_back();
        for (int i = 0; i < rows; ++i) {
            const auto made = value(i);
            column.values.push_back(made ? std::optional(made->bytes) : std::nullopt);
            expected.back().push_back(made ? made->text : "-");
        }
        plan.columns.push_back(std::move(column));
    }
};

template <class T>
SampleValue sample_number(T value) {
    return {plain_bytes(value), shortest_text(static_cast<double>(value))};
}

inline ParquetPlan sample_column(const char* name, int type, int encoding) {
    ParquetPlan plan;
    plan.name = name;
    plan.type = type;
    plan.encoding = encoding;
    return plan;
}

inline void add_sample_texts(ParquetSample& sample, int rows) {
    const auto word = [](int i) -> std::optional<SampleValue> {
        if (i % 5 == 4) return std::nullopt;
        const auto text =
            "word " + std::to_string(i / 3) + std::string(i % 7 == 0 ? "\xc3\xa9" : "");
        return SampleValue{text, "'" + text};
    };
    const auto few = [](int i) -> std::optional<SampleValue> {
        const std::string text = i % 3 == 0 ? "Bern" : i % 3 == 1 ? "10" : "NA";
        return SampleValue{text, text == "NA" ? "-" : "'" + text};
    };
    sample.add(sample_column("text", 6, 0), rows, word);
    sample.add(sample_column("text_lengths", 6, 6), rows, word);
    sample.add(sample_column("text_prefixes", 6, 7), rows, word);
    sample.add(sample_column("text_dictionary", 6, 8), rows, few);
    auto fallback = sample_column("text_fallback", 6, 8);
    fallback.plain_from = 14;
    sample.add(fallback, rows, word);
}

inline void add_sample_decimals(ParquetSample& sample, int rows) {
    auto small = sample_column("decimal_int", 1, 0);
    small.converted = 5;
    small.scale = 2;
    sample.add(small, rows, [](int i) {
        return SampleValue{plain_bytes(i - 50), shortest_text((i - 50) / 100.0)};
    });
    auto fixed = sample_column("decimal_fixed", 7, 8);
    fixed.converted = 5;
    fixed.scale = 1;
    fixed.width = 3;
    sample.add(fixed, rows, [](int i) {
        const int value = (i - 50) * 1000;
        std::string bytes;
        for (int shift = 16; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
        return SampleValue{bytes, shortest_text(value / 10.0)};
    });
    auto half = sample_column("half", 7, 9);
    half.logical = 15;
    half.width = 2;
    sample.add(half, rows, [](int i) {
        // 1.0 + i / 1024 with an exponent of 0
        const auto bits = static_cast<std::uint16_t>(0x3c00 + i);
        return SampleValue{plain_bytes(bits), shortest_text(1.0 + i / 1024.0)};
    });
}

/// Returns the table with columns of all types and encodings.
inline ParquetSample parquet_sample(int rows = 100) {
    ParquetSample sample;
    const auto bit = [](int i) -> std::optional<SampleValue> {
        const bool value = i % 3 == 0 || (i > 20 && i < 50);
        if (i % 11 == 3) return std::nullopt;
        return SampleValue{std::string(1, value ? '\1' : '\0'), value ? "1" : "0"};
    };
    sample.add(sample_column("bits", 0, 0), rows, bit);
    sample.add(sample_column("bit_runs", 0, 3), rows, bit);
    const auto small = [](int i) { return sample_number(i * 37 % 41 - 20); };
    const auto large = [](int i) -> std::optional<SampleValue> {
        if (i % 4 == 1) return std::nullopt;
        return sample_number(static_cast<std::int64_t>(i) * i * i * 1000003 - 7000000000);
    };
    auto required = sample_column("small", 1, 0);
    required.required = true;
    sample.add(required, rows, small);
    sample.add(sample_column("small_steps", 1, 5), rows, small);
    sample.add(sample_column("small_dictionary", 1, 8), rows, small);
    sample.add(sample_column("large", 2, 0), rows, large);
    sample.add(sample_column("large_steps", 2, 5), rows, large);
    auto positive = sample_column("without_sign", 1, 0);
    positive.converted = 13;
    sample.add(positive, rows, [](int i) {
        return sample_number(0xffffffffU - static_cast<std::uint32_t>(i));
    });
    const auto real = [](int i) -> std::optional<SampleValue> {
        if (i % 9 == 2) return std::nullopt;
        if (i % 9 == 3) return SampleValue{plain_bytes(std::nan("")), "-"};
        return sample_number(i / 3.0);
    };
    sample.add(sample_column("real", 5, 0), rows, real);
    sample.add(sample_column("real_split", 5, 9), rows, real);
    sample.add(sample_column("real_dictionary", 5, 8), rows, real);
    sample.add(sample_column("float", 4, 0), rows, [](int i) {
        return sample_number(static_cast<float>(i) / 7.0F);
    });
    sample.add(sample_column("nothing", 1, 0), rows, [](int) { return std::nullopt; });
    add_sample_texts(sample, rows);
    add_sample_decimals(sample, rows);
    return sample;
}

/// Reads all columns that are readable, row by row.
inline Result<SampleTable> read_all(const ParquetFile& file) {
    ParquetRoom room;
    std::vector<std::unique_ptr<ParquetColumnReader>> readers;
    std::vector<std::size_t> columns;
    for (std::size_t i = 0; i < file.columns().size(); ++i) {
        if (!file.columns()[i].readable()) continue;
        columns.push_back(i);
        readers.push_back(std::make_unique<ParquetColumnReader>(file, i, room, false));
    }
    SampleTable table(columns.size());
    for (std::size_t g = 0; g < file.row_groups(); ++g) {
        const auto group = file.row_group(g);
        if (!group) return group.error();
        for (std::size_t i = 0; i < columns.size(); ++i) {
            const auto begun = readers[i]->begin(group->chunks[columns[i]]);
            if (!begun) return begun.error();
        }
        for (std::uint64_t row = 0; row < group->rows; ++row) {
            for (std::size_t i = 0; i < columns.size(); ++i) {
                Cell cell;
                if (auto read = readers[i]->next(cell); !read) return read.error();
                const auto text = cell.kind == CellKind::Missing  ? "-"
                                  : cell.kind == CellKind::Number ? shortest_text(cell.number)
                                                                  : "'" + std::string(cell.text);
                table[i].push_back(text);
            }
        }
    }
    return table;
}

inline Result<SampleTable> read_all(std::string_view bytes) {
    const MemoryBytes memory(bytes, "t.parquet");
    const auto file = ParquetFile::open(memory);
    if (!file) return file.error();
    return read_all(*file);
}

}  // namespace starling::data::testing
