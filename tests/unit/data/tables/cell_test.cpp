// Goal: cells are read alike on every machine. Method: a table of texts.

#include "data/tables/cell.hpp"

#include <gtest/gtest.h>

namespace starling::data {
namespace {

TEST(Cell, NumbersHaveAPointInEveryLocale) {
    const std::pair<const char*, double> cases[] = {
        {"0", 0},
        {"-0", 0},
        {"42", 42},
        {"+7", 7},
        {"-12.5", -12.5},
        {" 3 ", 3},
        {"\t1e3", 1000},
        {".5", 0.5},
        {"5.", 5},
        {"007", 7},
        {"1E-2", 0.01},
        {"123456789012345", 123456789012345},
        {"1234567890123456789", 1234567890123456789.0},
        {"-1.1", -1.1},
        {"0.1", 0.1},
        {"1.7976931348623157e308", 1.7976931348623157e308},
    };
    for (const auto& [text, value] : cases) {
        const auto cell = read_cell(text);
        EXPECT_EQ(cell.kind, CellKind::Number) << text;
        EXPECT_EQ(cell.number, value) << text;
    }
}

TEST(Cell, WhatPeopleWriteForNothingIsMissing) {
    for (const auto* text :
         {"",
          " ",
          "?",
          "NA",
          "na",
          "N/A",
          "NaN",
          "nan",
          "-nan",
          "null",
          "inf",
          "-Inf",
          "+INF",
          "infinity",
          "-Infinity",
          "#N/A",
          "1e999",
          "-1e999"}) {
        EXPECT_EQ(read_cell(text).kind, CellKind::Missing) << text;
    }
}

TEST(Cell, AllElseIsAWord) {
    for (const auto* text :
         {"abc",
          "1,5",
          "12a",
          "0x10",
          "1e",
          "--1",
          "+-1",
          "-",
          "+",
          ".",
          "1.2.3",
          "2013-09-01",
          "nano",
          "1 2",
          "e5",
          "none",
          "\xff"}) {
        EXPECT_EQ(read_cell(text).kind, CellKind::Word) << text;
        EXPECT_EQ(read_cell(text).text, text);
    }
    EXPECT_EQ(read_cell("  two words ").text, "two words");
}

}  // namespace
}  // namespace starling::data
