// Goal: cells are read alike on every machine. Method: a table of texts, and std::from_chars as a second opinion of drawn ones.

#include "data/tables/cell.hpp"

#include <charconv>
#include <gtest/gtest.h>
#include <optional>
#include <string>

#include "base/rng.hpp"

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

std::optional<double> second_opinion(const std::string& text) {
    double value = 0;
    const auto* end = text.data() + text.size();
    const auto [read, error] = std::from_chars(text.data(), end, value);
    return read == end && error == std::errc{} ? std::optional(value) : std::nullopt;
}

TEST(Cell, DrawnNumbersAreWhatTheLibraryReads) {
    Rng rng(7);
    int numbers = 0;
    for (int i = 0; i < 200'000; ++i) {
        std::string text(1 + rng.below(18), '0');
        for (auto& c : text) c = static_cast<char>('0' + rng.below(10));
        // A point in most, and in some a byte that is no part of a number: also one beside the digits or above ASCII.
        if (rng.below(4) > 0) text[rng.below(text.size())] = '.';
        if (rng.below(8) == 0) text[rng.below(text.size())] = ".:/-@\x80\xb0\xff"[rng.below(8)];
        const auto expected = text.front() == '-' ? std::nullopt : second_opinion(text);
        const auto cell = read_cell(text);
        if (expected) {
            ++numbers;
            ASSERT_EQ(cell.kind, CellKind::Number) << text;
            ASSERT_EQ(cell.number, *expected) << text;
            ASSERT_EQ(read_cell("-" + text).number, -*expected) << text;
        } else if (text.front() != '-') {
            ASSERT_EQ(cell.kind, CellKind::Word) << text;
        }
    }
    EXPECT_GT(numbers, 100'000);
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
