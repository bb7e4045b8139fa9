// Goal: a table is read as a recipe wants it, whatever else is in the file. Method: small files whose
// columns are in another order, missing, of another kind, or have unknown words.

#include "data/sources/agreed_rows.hpp"

#include <cmath>
#include <cstring>
#include <fstream>
#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "tests/support/temporary_directory.hpp"

namespace starling::data {
namespace {

/// A number, a category of words, and one of digits.
TableRecipe recipe() {
    TableRecipe made;
    Column age;
    age.name = "age";
    Column city;
    city.name = "city";
    city.kind = ColumnRole::Category;
    city.categories = {"Bern", "Rome"};
    Column code;
    code.name = "code";
    code.kind = ColumnRole::Category;
    code.categories = {"1", "7"};
    made.columns = {age, city, code};
    return made;
}

class AgreedTables : public ::testing::Test {
protected:
    Result<AgreedRows> open(const std::string& text, const std::string& name = "t.csv") {
        const auto file = directory_.path() / name;
        std::ofstream(file) << text;
        const auto kind = name.ends_with(".jsonl") ? "jsonl:" : "csv:";
        return AgreedRows::open(*Spec::parse(kind + file.string()), recipe());
    }

    static std::vector<std::vector<float>> rows_of(AgreedRows& rows) {
        std::vector<std::vector<float>> all;
        for (;;) {
            Bytes record;
            const auto more = rows.next(record);
            EXPECT_TRUE(more.has_value());
            if (!more || !*more) return all;
            std::vector<float> values(record.size() / sizeof(float));
            std::memcpy(values.data(), record.data(), record.size());
            all.push_back(values);
        }
    }

    starling::testing::TemporaryDirectory directory_;
};

TEST_F(AgreedTables, ColumnsAreFoundByNameAndWordsByTheRecipesCodes) {
    auto rows = open("code,extra,city,age\n7,x,Rome,40\n1,y,Bern,31.5\n");
    ASSERT_TRUE(rows.has_value());
    EXPECT_EQ(rows_of(*rows), (std::vector<std::vector<float>>{{40, 2, 2}, {31.5F, 1, 1}}));
    EXPECT_EQ(rows->line(), 3U);
    ASSERT_EQ(rows->notes().size(), 1U);
    EXPECT_NE(rows->notes()[0].find("left out: extra"), std::string::npos);
}

TEST_F(AgreedTables, OneRowIsEnough) {
    // Each of its columns has one value only, which a training set would leave out.
    auto rows = open("age,city,code\n40,Rome,1\n");
    ASSERT_TRUE(rows.has_value());
    EXPECT_EQ(rows_of(*rows), (std::vector<std::vector<float>>{{40, 2, 1}}));
    EXPECT_TRUE(rows->notes().empty());
}

TEST_F(AgreedTables, UnknownWordsAndMissingColumnsAreTold) {
    auto rows = open("city,code\nParis,1\n,7\nOslo,9\n");
    ASSERT_TRUE(rows.has_value());
    const auto all = rows_of(*rows);
    ASSERT_EQ(all.size(), 3U);
    for (const auto& row : all) EXPECT_TRUE(std::isnan(row[0]));
    EXPECT_EQ(all[1][1], 0.0F) << "missing";
    EXPECT_EQ(all[1][2], 2.0F);
    ASSERT_EQ(rows->notes().size(), 3U);
    EXPECT_NE(
        rows->notes()[0].find("column 2 \"city\": value \"Oslo\" is not among the 2 categories "
                              "(counted as unknown), as 1 "
                              "further ones"),
        std::string::npos
    ) << rows->notes()[0];
    EXPECT_NE(rows->notes()[1].find("column 3 \"code\": value \"9\""), std::string::npos);
    EXPECT_NE(rows->notes()[2].find("missing values: age"), std::string::npos);
}

TEST_F(AgreedTables, WhatCannotBeReadSoIsRefusedInOneLine) {
    const auto words = open("age,city,code\nold,Rome,1\n");
    ASSERT_TRUE(words.has_error());
    EXPECT_EQ(words.error().code, FaultCode::BadValue);
    EXPECT_NE(words.error().message.find("column 1 \"age\": value \"old\""), std::string::npos);
    const auto other = open("a,b\n1,2\n");
    ASSERT_TRUE(other.has_error());
    EXPECT_EQ(other.error().code, FaultCode::Usage);
    EXPECT_NE(other.error().message.find("lacks 3 of the 3 columns"), std::string::npos);
    EXPECT_NE(other.error().message.find("age, city, code"), std::string::npos);
    const auto nested = open("{\"age\":[1],\"city\":\"Rome\"}\n", "t.jsonl");
    ASSERT_TRUE(nested.has_error());
    EXPECT_NE(nested.error().message.find("lists or objects"), std::string::npos);
    const auto picture = AgreedRows::open(*Spec::parse("images:/tmp"), recipe());
    ASSERT_TRUE(picture.has_error());
    EXPECT_EQ(picture.error().code, FaultCode::Usage);
}

TEST_F(AgreedTables, AnyFormatOfTablesWillDo) {
    auto rows = open("{\"city\":\"Bern\",\"age\":3,\"code\":7}\n{\"age\":4}\n", "t.jsonl");
    ASSERT_TRUE(rows.has_value());
    EXPECT_EQ(rows_of(*rows), (std::vector<std::vector<float>>{{3, 1, 2}, {4, 0, 0}}));
}

}  // namespace
}  // namespace starling::data
