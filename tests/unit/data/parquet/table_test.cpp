// Goal: a Parquet file gives the table that was written, however it was written; what is damaged or not
// known is one line with file and byte. Method: files of an independent writer in all encodings and
// compressions, files with each byte changed or cut off, and files that lie about their lengths.

#include "data/parquet/table.hpp"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>

#include "tests/unit/data/parquet/parquet_samples.hpp"

namespace starling::data {
namespace {

using testing::parquet_sample;
using testing::ParquetFilePlan;
using testing::ParquetPlan;
using testing::ParquetSample;
using testing::plain_bytes;
using testing::read_all;
using testing::sample_column;
using testing::sample_number;
using testing::SampleValue;
using testing::write_parquet;

std::string refusal(std::string_view bytes) {
    const auto read = read_all(bytes);
    return read ? "accepted" : read.error().message;
}

void expect_part(const std::string& message, const char* part) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
}

TEST(Parquet, EveryEncodingCompressionAndPageVersionGivesTheSameTable) {
    auto sample = parquet_sample();
    for (const int codec : {0, 1, 2, 6}) {
        for (const int version : {1, 2}) {
            for (const std::size_t page : {1U, 7U, 1000U}) {
                for (const std::size_t group : {40U, 1000U}) {
                    sample.plan.codec = codec;
                    sample.plan.page_version = version;
                    sample.plan.rows_in_page = page;
                    sample.plan.rows_in_group = group;
                    sample.plan.checksums = page == 7;
                    sample.plan.with_list = group == 40;
                    const auto table = read_all(write_parquet(sample.plan));
                    ASSERT_TRUE(table.has_value()) << table.error().message;
                    ASSERT_EQ(table->size(), sample.expected.size());
                    for (std::size_t i = 0; i < table->size(); ++i) {
                        EXPECT_EQ((*table)[i], sample.expected[i])
                            << sample.plan.columns[i].name << ", codec " << codec << ", version "
                            << version << ", " << page << " rows a page, " << group << " a group";
                    }
                }
            }
        }
    }
}

TEST(Parquet, TheScanTellsWordsNumbersAndWhatIsNotRead) {
    auto sample = parquet_sample();
    sample.plan.with_list = true;
    sample.add(sample_column("old_times", 3, 0), 100, [](int) {
        return SampleValue{std::string(12, '\0'), ""};
    });
    const auto bytes = write_parquet(sample.plan);
    const MemoryBytes memory(bytes, "t.parquet");
    const auto file = ParquetFile::open(memory);
    ASSERT_TRUE(file.has_value()) << file.error().message;
    EXPECT_EQ(file->row_groups(), 3U);
    expect_part(file->columns().back().why, "INT96");
    const auto facts = scan_parquet(*file, {{"small"}, {}});
    ASSERT_TRUE(facts.has_value()) << facts.error().message;
    EXPECT_EQ(facts->rows, 100U);
    const auto column = [&](const char* name) -> const ColumnFacts& {
        return facts->columns[*facts->column(name)];
    };
    EXPECT_EQ(column("more").kind, ColumnKind::Nested);
    EXPECT_EQ(column("old_times").kind, ColumnKind::Nested);
    EXPECT_EQ(column("nothing").kind, ColumnKind::Empty);
    EXPECT_EQ(column("nothing").missing, 100U);
    EXPECT_EQ(column("small").kind, ColumnKind::Category) << "the user says so";
    EXPECT_EQ(column("small").categories[0].first, "-1");
    EXPECT_EQ(column("bits").kind, ColumnKind::Number);
    EXPECT_EQ(column("text_dictionary").kind, ColumnKind::Category);
    ASSERT_EQ(column("text_dictionary").categories.size(), 2U);
    EXPECT_EQ(column("text_dictionary").categories[0].first, "10") << "a text that is no number";
    EXPECT_EQ(column("text_dictionary").missing, 33U) << "NA is missing in all tables";
    EXPECT_EQ(column("large").missing, 25U);
    EXPECT_EQ(column("decimal_int").min, -0.5);
}

TEST(Parquet, RowsHaveTheWantedColumnsInTheirOrder) {
    const auto sample = parquet_sample();
    const auto bytes = write_parquet(sample.plan);
    const MemoryBytes memory(bytes, "t.parquet");
    const auto file = ParquetFile::open(memory);
    ASSERT_TRUE(file.has_value());
    const auto facts = scan_parquet(*file, {});
    ASSERT_TRUE(facts.has_value());
    const auto place = [&](const char* name) { return *facts->column(name); };
    auto rows =
        ParquetRows::open(*file, *facts, {place("text_fallback"), place("small"), place("large")});
    ASSERT_TRUE(rows.has_value());
    const auto& words = facts->columns[place("text_fallback")].categories;
    std::vector<double> values(3);
    for (std::uint64_t i = 0; i < 100; ++i) {
        ASSERT_TRUE(*rows->next(values));
        EXPECT_EQ(rows->row(), i + 1);
        const auto word = sample.expected[place("text_fallback")][i];
        EXPECT_EQ(
            std::isnan(values[0]) ? "-" : "'" + words[static_cast<std::size_t>(values[0])].first,
            word
        );
        EXPECT_EQ(shortest_text(values[1]), sample.expected[place("small")][i]);
        EXPECT_EQ(std::isnan(values[2]), sample.expected[place("large")][i] == "-");
    }
    EXPECT_FALSE(*rows->next(values));
}

TEST(Parquet, TextsAreNumbersWhereTheUserSaysSo) {
    ParquetSample sample;
    sample.add(sample_column("a", 6, 0), 9, [](int i) {
        const auto text = std::to_string(i) + ".5";
        return SampleValue{text, text};
    });
    sample.add(sample_column("b", 6, 0), 9, [](int i) {
        const std::string text = i == 7 ? "seven" : "1";
        return SampleValue{text, text};
    });
    const auto bytes = write_parquet(sample.plan);
    const MemoryBytes memory(bytes, "t.parquet");
    const auto file = ParquetFile::open(memory);
    const auto facts = scan_parquet(*file, {{}, {"a"}});
    ASSERT_TRUE(facts.has_value()) << facts.error().message;
    EXPECT_EQ(facts->columns[0].mean, 4.5);
    EXPECT_EQ(facts->columns[1].kind, ColumnKind::Category);
    auto rows = ParquetRows::open(*file, *facts, {0});
    std::vector<double> values(1);
    ASSERT_TRUE(*rows->next(values));
    EXPECT_EQ(values[0], 0.5);
    const auto wrong = scan_parquet(*file, {{}, {"b"}});
    ASSERT_FALSE(wrong.has_value());
    EXPECT_EQ(wrong.error().code, FaultCode::BadValue);
    expect_part(wrong.error().message, "t.parquet: row 8, column 'b': 'seven' is a word");
    EXPECT_EQ(scan_parquet(*file, {{"c"}, {}}).error().code, FaultCode::Usage);
}

TEST(Parquet, WhatTimesCountIsSaid) {
    ParquetSample sample;
    auto day = sample_column("day", 1, 0);
    day.converted = 6;
    auto moment = sample_column("moment", 2, 0);
    moment.logical = 8;
    moment.time_unit = 3;
    auto older = sample_column("older", 2, 0);
    older.converted = 10;
    sample.add(day, 3, [](int i) { return sample_number(i); });
    for (const auto& column : {moment, older}) {
        sample.add(column, 3, [](int i) { return sample_number(std::int64_t{i}); });
    }
    const auto bytes = write_parquet(sample.plan);
    const MemoryBytes memory(bytes);
    const auto file = ParquetFile::open(memory);
    ASSERT_TRUE(file.has_value()) << file.error().message;
    EXPECT_EQ(file->columns()[0].unit, "days since 1970-01-01");
    EXPECT_EQ(file->columns()[1].unit, "nanoseconds since 1970-01-01");
    EXPECT_EQ(file->columns()[2].unit, "microseconds since 1970-01-01");
}

TEST(Parquet, WhatIsNoSuchFileIsRefusedInOneLine) {
    const auto bytes = write_parquet(parquet_sample(10).plan);
    expect_part(refusal("a,b\n1,2\n and so on"), "t.parquet: byte 0: it is no Parquet file");
    expect_part(refusal(""), "byte 0: it is no Parquet file");
    expect_part(refusal("PAR1"), "byte 4: it ends without PAR1");
    expect_part(refusal(bytes.substr(0, bytes.size() - 1)), "ends without PAR1");
    expect_part(refusal("PARE" + bytes.substr(4)), "it is encrypted");
    expect_part(refusal(bytes.substr(0, bytes.size() - 4) + "PARE"), "it is encrypted");
    auto longer = bytes;
    longer.replace(bytes.size() - 8, 4, plain_bytes(0x7fffffffU));
    expect_part(refusal(longer), "the footer is said to exceed the file");
    auto sample = parquet_sample(10);
    sample.plan.codec = 7;
    expect_part(refusal(write_parquet(sample.plan)), "compressed with LZ4_RAW; write it with ZSTD");
    const MemoryBytes memory(bytes, "t.parquet");
    const auto empty = write_parquet(parquet_sample(0).plan);
    const MemoryBytes nothing(empty, "t.parquet");
    const auto file = ParquetFile::open(nothing);
    ASSERT_TRUE(file.has_value()) << file.error().message;
    expect_part(scan_parquet(*file, {}).error().message, "there is no row in it");
}

/// Replaces bytes that stand in the file once.
std::string with(std::string bytes, const std::string& old, const std::string& other) {
    const auto at = bytes.find(old);
    EXPECT_NE(at, std::string::npos);
    EXPECT_EQ(bytes.find(old, at + 1), std::string::npos);
    return bytes.replace(at, old.size(), other);
}

TEST(Parquet, LengthsThatLieTakeNoMemory) {
    ParquetSample sample;
    sample.plan.checksums = false;
    auto column = sample_column("a", 6, 0);
    column.required = true;
    sample.add(column, 1, [](int) { return SampleValue{"hello", "'hello"}; });
    const auto bytes = write_parquet(sample.plan);
    // The head of the page: kind 0, then 9 bytes unpacked and packed, as zigzag numbers.
    const std::string sizes("\x15\x00\x15\x12\x15\x12", 6);
    const std::string giant("\x15\x00\x15\xfe\xff\xff\xff\x0f\x15\x12", 10);
    auto longer = with(bytes, sizes, giant);
    // The chunk is now four bytes longer than the footer says; behind it lies room that is forgiven.
    expect_part(refusal(longer), "MiB, and 64 are allowed");
    expect_part(refusal(with(bytes, sizes, std::string("\x15\x00\x15\x12\x15\x7e", 6))), "a page");
    const std::string value = plain_bytes(std::uint32_t{5}) + "hello";
    expect_part(
        refusal(with(bytes, value, plain_bytes(0xfffffff0U) + "hello")),
        "column 'a': a value is not there"
    );
    // A list in the footer of 2^32 elements.
    const std::string schema("\x19\x2c\x48", 3);
    expect_part(
        refusal(with(bytes, schema, std::string("\x19\xfc\xff", 3))), "the footer is damaged"
    );
}

unsigned char flipped(char byte, unsigned change) {
    return static_cast<unsigned char>(static_cast<unsigned char>(byte) ^ change);
}

TEST(Parquet, NoChangedByteBeforeTheFooterGivesAnotherTable) {
    for (const int version : {1, 2}) {
        auto sample = parquet_sample(12);
        sample.plan.codec = version - 1;
        sample.plan.page_version = version;
        const auto whole = write_parquet(sample.plan);
        const auto expected = read_all(whole);
        ASSERT_TRUE(expected.has_value());
        std::uint32_t footer = 0;
        std::memcpy(&footer, whole.data() + whole.size() - 8, sizeof(footer));
        for (std::size_t at = 0; at < whole.size(); ++at) {
            EXPECT_FALSE(read_all(std::string_view(whole).substr(0, at)).has_value());
            // The footer has no checksum: a changed name is another name.
            if (at >= whole.size() - 8 - footer) continue;
            for (const unsigned change : {0x01U, 0x80U, 0xffU}) {
                auto changed = whole;
                changed[at] = static_cast<char>(flipped(whole[at], change));
                const auto table = read_all(changed);
                if (table) {
                    EXPECT_EQ(*table, *expected) << "byte " << at;
                }
            }
        }
    }
}

TEST(Parquet, NoChangedByteWithoutChecksumsDoesHarm) {
    for (const int codec : {0, 1, 2, 6}) {
        auto sample = parquet_sample(12);
        sample.plan.codec = codec;
        sample.plan.page_version = codec == 6 ? 2 : 1;
        sample.plan.checksums = false;
        sample.plan.with_list = true;
        const auto whole = write_parquet(sample.plan);
        for (std::size_t at = 0; at < whole.size(); ++at) {
            // Half of the bits without compression; else one of them, as most bytes are packed ones.
            for (unsigned bit = codec == 0 ? 0 : at % 8; bit < 8; bit += codec == 0 ? 2 : 8) {
                auto changed = whole;
                changed[at] = static_cast<char>(flipped(whole[at], 1U << bit));
                const auto table = read_all(changed);
                if (!table) {
                    EXPECT_TRUE(table.error().message.starts_with("t.parquet: "));
                }
            }
        }
    }
}

}  // namespace
}  // namespace starling::data
