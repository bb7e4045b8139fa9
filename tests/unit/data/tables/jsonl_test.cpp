// Goal: tables and texts come out of JSON lines as Python's json reads them, and each wrong line is a
// finding with its number. Method: small files, one of each kind of wrong line.

#include "data/tables/jsonl.hpp"

#include <cmath>
#include <gtest/gtest.h>

namespace starling::data {
namespace {

Result<JsonlFacts> scan(std::string_view text, const TableOptions& options = {}) {
    MemoryStream stream(text, "t.jsonl");
    return scan_jsonl(stream, options);
}

std::vector<std::string> texts_of(std::string_view text, LineFindings* wrong = nullptr) {
    MemoryStream stream(text, "t.jsonl");
    JsonlTexts texts(stream, "text");
    std::vector<std::string> all;
    while (true) {
        const auto next = texts.next();
        EXPECT_TRUE(next.has_value());
        if (!next || !*next) break;
        all.emplace_back(**next);
    }
    if (wrong != nullptr) *wrong = texts.wrong();
    return all;
}

constexpr std::string_view kTable =
    "{\"a\": 1, \"b\": \"red\", \"c\": true}\n"
    "\n"
    "{\"b\": \"blue\", \"a\": 2.5, \"c\": null}\r\n"
    "{\"a\": \"NA\", \"d\": [1, 2], \"b\": 7}\n"
    "{\"a\": \"3\", \"c\": false}";

TEST(Jsonl, FieldsAreColumnsInTheOrderInWhichTheyAppear) {
    const auto facts = scan(kTable);
    ASSERT_TRUE(facts.has_value()) << facts.error().message;
    EXPECT_EQ(facts->wrong.count, 0U);
    const auto& table = facts->table;
    EXPECT_EQ(table.rows, 4U);
    ASSERT_EQ(table.columns.size(), 4U);
    EXPECT_EQ(table.columns[0].kind, ColumnKind::Number);
    EXPECT_EQ(table.columns[0].count, 3U);
    EXPECT_EQ(table.columns[0].max, 3);
    EXPECT_EQ(table.columns[1].kind, ColumnKind::Category);
    EXPECT_EQ(table.columns[1].categories.size(), 3U) << "a 7 among words is a word";
    EXPECT_EQ(table.columns[1].missing, 1U);
    EXPECT_EQ(table.columns[2].mean, 0.5);
    EXPECT_EQ(table.columns[2].missing, 2U);
    EXPECT_EQ(table.columns[3].kind, ColumnKind::Nested);
    EXPECT_EQ(table.columns[3].missing, 3U);
}

TEST(Jsonl, RowsAreThoseOfTheRightLines) {
    const std::string text = std::string(kTable) + "\n{\"a\": \"word\"}\n{\"a\": 9}\n{broken\n";
    const auto facts = scan(text);
    ASSERT_TRUE(facts.has_value());
    EXPECT_EQ(facts->wrong.count, 2U);
    MemoryStream stream(text);
    auto rows = JsonlRows::open(stream, *facts, {1, 0});
    ASSERT_TRUE(rows.has_value());
    std::vector<std::vector<double>> all;
    std::vector<double> values(2);
    while (true) {
        const auto more = rows->next(values);
        ASSERT_TRUE(more.has_value()) << more.error().message;
        if (!*more) break;
        all.push_back(values);
    }
    EXPECT_EQ(rows->skipped(), 2U);
    ASSERT_EQ(all.size(), facts->table.rows);
    EXPECT_EQ(all[0], (std::vector<double>{2, 1})) << "7, blue, red";
    EXPECT_EQ(all[1], (std::vector<double>{1, 2.5}));
    EXPECT_EQ(all[2][0], 0);
    EXPECT_TRUE(std::isnan(all[2][1]));
    EXPECT_TRUE(std::isnan(all[4][0]));
    EXPECT_EQ(all[4][1], 9);
    MemoryStream nested(text);
    EXPECT_FALSE(JsonlRows::open(nested, *facts, {3}).has_value());
    MemoryStream changed("{\"b\": \"green\"}\n");
    auto other = JsonlRows::open(changed, *facts, {1});
    EXPECT_NE(
        other->next(std::span(values).first(1)).error().message.find("line 1: column 'b': 'green'"),
        std::string::npos
    );
}

TEST(Jsonl, RowsLeaveOutAWrongLineWhoseColumnStayedEmpty) {
    // The first line counts `d` as a column, then is wrong for its second `d`; no right line has a value.
    const std::string text =
        "{\"a\": 1, \"d\": 5, \"d\": 6}\n{\"a\": 2, \"d\": null}\n{\"a\": 3}\n";
    for (const auto* wrong : {"{\"a\": 9, \"d\": 5, \"d\": 6}\n", "{\"d\": \"x\", \"a\": [1]}\n"}) {
        const std::string lines = std::string("{\"a\": 1}\n") + wrong + text;
        const auto facts = scan(lines);
        ASSERT_TRUE(facts.has_value());
        EXPECT_EQ(facts->table.rows, 3U);
        EXPECT_EQ(facts->wrong.count, 2U);
        MemoryStream stream(lines);
        auto rows = JsonlRows::open(stream, *facts, {0});
        ASSERT_TRUE(rows.has_value());
        std::vector<double> all;
        std::vector<double> values(1);
        while (true) {
            const auto more = rows->next(values);
            ASSERT_TRUE(more.has_value()) << more.error().message;
            if (!*more) break;
            all.push_back(values[0]);
        }
        EXPECT_EQ(all, (std::vector<double>{1, 2, 3}));
        EXPECT_EQ(rows->skipped(), 2U);
    }
}

TEST(Jsonl, EachWrongLineIsAFindingWithItsNumber) {
    const auto facts = scan(
        "{\"a\": 1}\n"
        "{\"a\": }\n"
        "[1]\n"
        "{\"a\": 1, \"a\": 2}\n"
        "{\"a\": \"x\"}\n"
        "{\"a\": [1]}\n"
        "{\"a\": 1} {\"a\": 2}\n"
        "{\"a\": \"\xff\"}\n"
        "{\"a\": 1e999}\n"
        "{\"a\": 2}\n"
    );
    ASSERT_TRUE(facts.has_value());
    EXPECT_EQ(facts->table.rows, 2U);
    EXPECT_EQ(facts->wrong.count, 8U);
    const char* parts[] = {
        "not JSON", "not a JSON object", "twice", "is a word", "a list", "not JSON"};
    for (std::size_t i = 0; i < std::size(parts); ++i) {
        EXPECT_EQ(facts->wrong.first[i].line, i + 2);
        EXPECT_NE(facts->wrong.first[i].what.find(parts[i]), std::string::npos)
            << facts->wrong.first[i].what;
    }
    std::string many = "{\"a\": 1}\n";
    for (int i = 0; i < 30; ++i) many += "x\n";
    const auto wrong = scan(many)->wrong;
    EXPECT_EQ(wrong.count, 30U);
    EXPECT_EQ(wrong.first.size(), kFindingsKept);
    EXPECT_NE(scan("x\n").error().message.find("line 1: not JSON"), std::string::npos);
}

TEST(Jsonl, TheUserSaysWhatACategoryIs) {
    const auto facts = scan("{\"zip\": 10}\n{\"zip\": \"x\"}\n{\"zip\": 0.1}\n", {{"zip"}, {}});
    ASSERT_TRUE(facts.has_value());
    const auto& zip = facts->table.columns[0];
    ASSERT_EQ(zip.categories.size(), 3U);
    EXPECT_EQ(zip.categories[0].first, "0.1");
    EXPECT_EQ(zip.categories[1].first, "10");
    EXPECT_FALSE(scan("{\"a\": 1}\n", {{"b"}, {}}).has_value());
}

TEST(Jsonl, TextsOfAFieldComeInOrder) {
    LineFindings wrong;
    const auto texts = texts_of(
        "\xef\xbb\xbf{\"id\": 1, \"text\": \"one\\n\\u00e9 \\ud83d\\ude00\"}\n"
        "{\"id\": 2}\n"
        "{\"text\": 3}\n"
        "{\"text\": \"\", \"more\": {\"text\": \"inner\"}}\n"
        "{\"text\": \"a\", \"text\": \"b\"}\n"
        "{\"text\": \"cut\n"
        "{\"text\": \"last\"}",
        &wrong
    );
    EXPECT_EQ(texts, (std::vector<std::string>{"one\né 😀", "", "last"}));
    ASSERT_EQ(wrong.count, 4U);
    EXPECT_EQ(wrong.first[0].what, "there is no field 'text'");
    EXPECT_EQ(wrong.first[1].what, "the field 'text' is not a text");
    EXPECT_EQ(wrong.first[2].line, 5U);
    EXPECT_EQ(wrong.first[3].line, 6U);
}

TEST(Jsonl, ALineIsBoundedAndLongOnesComeWhole) {
    const std::string longest(std::size_t{5} << 20U, 'x');
    EXPECT_EQ(texts_of("{\"text\": \"" + longest + "\"}\n")[0].size(), longest.size());
    const std::string over = "{\"a\": 1}\n" + std::string(kJsonLineBytesMax + 100, ' ');
    const auto facts = scan(over);
    ASSERT_FALSE(facts.has_value());
    EXPECT_EQ(facts.error().code, FaultCode::Oversized);
    EXPECT_NE(facts.error().message.find("t.jsonl: line 2"), std::string::npos);
    std::string wide = "{";
    for (int i = 0; i < 5000; ++i) wide += "\"c" + std::to_string(i) + "\": 1, ";
    EXPECT_EQ(scan(wide + "\"z\": 1}").error().code, FaultCode::Oversized);
    std::string deep = "{\"a\": " + std::string(100000, '[');
    EXPECT_FALSE(scan(deep).has_value());
}

}  // namespace
}  // namespace starling::data
