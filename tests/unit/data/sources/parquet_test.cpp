// Goal: a Parquet file is the data set that its CSV file is. Method: files that DuckDB has written
// (tests/golden/tables.sql) beside a CSV file of the same formulas, and files of the tests' own writer.

#include <cmath>
#include <gtest/gtest.h>

#include "tests/unit/data/parquet/parquet_samples.hpp"
#include "tests/unit/data/support/sources.hpp"

namespace starling::data {
namespace {

using testing::open;
using testing::ParquetSample;
using testing::refusal;
using testing::sample_column;
using testing::sample_number;
using testing::SampleValue;

class ParquetSource : public testing::SourceFiles {};

/// The table of tests/golden/tables.sql; days count from 1970-01-01.
std::string csv_of_golden() {
    std::string csv = "id,town,n,flag,price,note,d,y\n";
    for (int i = 0; i < 60; ++i) {
        csv += std::to_string(i) + ",town" + std::to_string(i % 3) + ",";
        csv += i % 7 == 0 ? "" : shortest_text(i * 0.25);
        csv += std::string(i % 2 == 0 ? ",1," : ",0,") + shortest_text((i - 30) / 4.0) + ",";
        csv += i % 5 == 0 ? "" : "note " + std::to_string(i);
        csv += "," + std::to_string(10926 + i) + (i % 3 == 0 ? ",yes" : ",no") + "\n";
    }
    return csv;
}

TEST_F(ParquetSource, WhatDuckDbWroteIsTheTableThatItsCsvIs) {
    put("t.csv", csv_of_golden());
    const std::string options = "?label=y&split=id%5==0";
    const auto expected = open("csv:" + path("t.csv") + options);
    for (const auto* name : {"duckdb_v1.parquet", "duckdb_v2.parquet"}) {
        const auto file = testing::golden_path(std::string("tables/") + name).string();
        const auto source = open("parquet:" + file + options);
        ASSERT_NE(source, nullptr);
        EXPECT_EQ(source->schema(), expected->schema());
        EXPECT_EQ(source->recipe(), expected->recipe());
        EXPECT_EQ(source->notes().skipped, 0U);
        ASSERT_EQ(source->notes().lines.size(), 1U);
        EXPECT_EQ(source->notes().lines[0], file + ": column d counts days since 1970-01-01");
        for (const auto split : {Split::Train, Split::Test}) {
            ASSERT_EQ(source->count(split), expected->count(split));
            for (std::uint64_t i = 0; i < source->count(split); ++i) {
                Bytes ours;
                Bytes theirs;
                ASSERT_TRUE(source->read(split, i, ours).has_value());
                ASSERT_TRUE(expected->read(split, i, theirs).has_value());
                EXPECT_EQ(ours, theirs);
                EXPECT_EQ(
                    as_text(source->labels(split).at(i)), as_text(expected->labels(split).at(i))
                );
            }
        }
    }
}

TEST_F(ParquetSource, OptionsOfTablesHold) {
    ParquetSample sample;
    sample.plan.with_list = true;
    sample.add(sample_column("code", 1, 0), 60, [](int i) { return sample_number(i % 3); });
    sample.add(sample_column("n", 5, 0), 60, [](int i) { return sample_number(i * 0.5); });
    sample.add(sample_column("old", 3, 0), 60, [](int) {
        return SampleValue{std::string(12, '\0'), ""};
    });
    sample.add(sample_column("y", 5, 0), 60, [](int i) -> std::optional<SampleValue> {
        if (i == 7) return std::nullopt;
        return sample_number(i * 0.1);
    });
    put("t.parquet", write_parquet(sample.plan));
    const auto spec = "parquet:" + path("t.parquet");
    // One row of 60 has no label, which is more than one in a hundred.
    const auto refused = refusal(spec + "?test=0");
    EXPECT_NE(refused.message.find("t.parquet: row 8: no value in y"), std::string::npos)
        << refused.message;
    const auto coded = open(spec + "?label=n&categories=code&drop=y&target=number");
    ASSERT_NE(coded, nullptr);
    EXPECT_EQ(coded->schema().inputs[0].shape[0].size, 1U)
        << "the list and the old times are left out";
    const auto nested = refusal(spec + "?label=more");
    EXPECT_NE(nested.message.find("no words and no numbers"), std::string::npos) << nested.message;
    put("cut.parquet", write_parquet(sample.plan).substr(0, 900));
    const auto cut = refusal("parquet:" + path("cut.parquet"));
    EXPECT_NE(cut.message.find("cut.parquet: byte 900: it ends without PAR1"), std::string::npos);
    EXPECT_EQ(refusal("parquet:" + path("none.parquet")).code, FaultCode::NotFound);
    const auto odd = refusal("parquet:x?no-such-key=1");
    EXPECT_NE(odd.message.find("it takes label"), std::string::npos) << odd.message;
}

}  // namespace
}  // namespace starling::data
