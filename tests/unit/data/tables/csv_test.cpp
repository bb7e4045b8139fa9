// Goal: one pass over a table says what is in it, and its rows are what Python reads. Method: small
// tables, wrong ones with the line that they must get, and the real tables where they are present
// (expected numbers: Python's csv, fractions and decimal).

#include "data/tables/csv.hpp"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "tests/unit/data/support/shared_data.hpp"

namespace starling::data {
namespace {

using testing::shared_data;

Result<CsvFacts> scan(std::string_view text, const CsvOptions& options = {}) {
    MemoryStream stream(text, "t.csv");
    return scan_csv(stream, options);
}

CsvFacts facts_of(std::string_view text, const CsvOptions& options = {}) {
    auto facts = scan(text, options);
    EXPECT_TRUE(facts.has_value()) << facts.error().message;
    return *facts;
}

std::string refusal(std::string_view text, const CsvOptions& options = {}) {
    const auto facts = scan(text, options);
    return facts.has_value() ? "accepted" : facts.error().message;
}

std::vector<std::vector<double>> rows_of(
    std::string_view text, const CsvFacts& facts, const std::vector<std::size_t>& columns
) {
    MemoryStream stream(text, "t.csv");
    auto rows = CsvRows::open(stream, facts, columns);
    EXPECT_TRUE(rows.has_value());
    std::vector<std::vector<double>> all;
    std::vector<double> values(columns.size());
    while (true) {
        const auto more = rows->next(values);
        EXPECT_TRUE(more.has_value()) << more.error().message;
        if (!more || !*more) return all;
        all.push_back(values);
    }
}

TEST(Csv, ColumnsAreDescribedInOnePass) {
    const auto facts = facts_of("id,colour,size,empty\n1,red,0.5,\n2,blue,NA,?\n3,red,1.5,nan\n");
    EXPECT_EQ(facts.guess, "separated by comma, the first line names the columns");
    EXPECT_EQ(facts.table.rows, 3U);
    const auto& id = facts.table.columns[0];
    EXPECT_EQ(id.name, "id");
    EXPECT_EQ(id.kind, ColumnKind::Number);
    EXPECT_TRUE(id.whole);
    EXPECT_EQ(id.mean, 2);
    EXPECT_DOUBLE_EQ(id.deviation, std::sqrt(2.0 / 3));
    const auto& colour = facts.table.columns[1];
    EXPECT_EQ(colour.kind, ColumnKind::Category);
    EXPECT_EQ(
        colour.categories,
        (std::vector<std::pair<std::string, std::uint64_t>>{{"blue", 1}, {"red", 2}})
    );
    const auto& size = facts.table.columns[2];
    EXPECT_EQ(size.missing, 1U);
    EXPECT_EQ(size.count, 2U);
    EXPECT_EQ(size.min, 0.5);
    EXPECT_EQ(size.max, 1.5);
    EXPECT_FALSE(size.whole);
    EXPECT_EQ(size.numbers, (std::vector<std::pair<double, std::uint64_t>>{{0.5, 1}, {1.5, 1}}));
    EXPECT_EQ(facts.table.columns[3].kind, ColumnKind::Empty);
    EXPECT_TRUE(facts.table.columns[3].constant());
    EXPECT_FALSE(size.constant());
}

TEST(Csv, TheSeparatorIsGuessedFromTheFirstLines) {
    EXPECT_EQ(facts_of("a;b\n1,5;2,5\n1,5;3,5\n").separator, ';');
    EXPECT_EQ(facts_of("a\tb,c\td\n1\t2\t3\n").separator, '\t');
    EXPECT_EQ(facts_of("\"a;x\",b\n\"1;2;3\",5\n").separator, ',');
    EXPECT_EQ(facts_of("a\n1\n2\n").separator, ',');
    EXPECT_EQ(facts_of("a,b;c\n1,2\n", {',', std::nullopt, {}}).table.columns[1].name, "b;c");
}

TEST(Csv, AFirstLineOfWordsNamesTheColumns) {
    EXPECT_FALSE(facts_of("1,2\n3,4\n").header);
    EXPECT_EQ(facts_of("1,2\n3,4\n").table.columns[1].name, "column 2");
    EXPECT_TRUE(facts_of("a,b\nx,y\nz,y\n").header) << "distinct words name";
    EXPECT_FALSE(facts_of("red,red\nblue,red\n").header);
    EXPECT_FALSE(facts_of("red,1\nblue,2\n").header);
    EXPECT_TRUE(facts_of(",x\n0,1\n1,5\n").header);
    EXPECT_EQ(facts_of(",x\n0,1\n1,5\n").table.columns[0].name, "column 1");
    EXPECT_EQ(facts_of("red,1\nblue,2\n", {std::nullopt, true, {}}).table.rows, 1U);
    EXPECT_EQ(facts_of("a,b\nx,y\n", {std::nullopt, false, {}}).table.rows, 2U);
}

TEST(Csv, WrongRowsAreNamedWithLineAndColumn) {
    EXPECT_EQ(
        refusal("a,b\n1,2\n3\n"), "t.csv: line 3: 1 fields, 2 are expected, as in the first line"
    );
    EXPECT_NE(refusal("a,b\n1,\"x\ny\"\n3,4,5\n").find("line 4: 3 fields, 2"), std::string::npos);
    const auto word = refusal("a,b\n1,2\n1,x\x1b[31m\n");
    EXPECT_NE(word.find("line 3: column 'b': 'x?[31m' is a word"), std::string::npos) << word;
    EXPECT_NE(word.find("categories="), std::string::npos);
    EXPECT_NE(refusal("a,b\n").find("there are no rows"), std::string::npos);
    EXPECT_NE(refusal("").find("there are no rows"), std::string::npos);
}

TEST(Csv, TheUserSaysWhatACategoryIs) {
    CsvOptions options;
    options.table.categories = {"zip"};
    const auto facts = facts_of("zip,n\n01234,1\n99,2\nx,3\n,4\n", options);
    const auto& zip = facts.table.columns[0];
    EXPECT_EQ(zip.kind, ColumnKind::Category);
    EXPECT_EQ(zip.categories.front().first, "01234");
    EXPECT_EQ(zip.missing, 1U);
    options.table.categories = {"nowhere"};
    EXPECT_EQ(
        refusal("zip,n\n1,2\n", options),
        "t.csv: there is no column 'nowhere'; the columns are zip, n"
    );
    options.table = {{}, {"zip"}};
    EXPECT_NE(refusal("zip,n\nx,2\n", options).find("line 2: column 'zip'"), std::string::npos);
}

TEST(Csv, ColumnsAreFoundByName) {
    const auto facts = facts_of("a,b,b\n1,2,3\n");
    EXPECT_EQ(*facts.table.column("a"), 0U);
    const auto missing = facts.table.column("c");
    ASSERT_FALSE(missing.has_value());
    EXPECT_EQ(missing.error().code, FaultCode::Usage);
    EXPECT_NE(missing.error().message.find("the columns are a, b, b"), std::string::npos);
    EXPECT_FALSE(facts.table.column("b").has_value()) << "two have this name";
}

TEST(Csv, RowsAreNumbersAndPlacesAmongCategories) {
    const std::string_view text = "x,c,y\n1,red,0.5\n2,blue,\n,,7\n";
    const auto facts = facts_of(text);
    const auto rows = rows_of(text, facts, {1, 0, 2});
    ASSERT_EQ(rows.size(), 3U);
    EXPECT_EQ(rows[0], (std::vector<double>{1, 1, 0.5}));
    EXPECT_EQ(rows[1][0], 0);
    EXPECT_TRUE(std::isnan(rows[1][2]));
    EXPECT_TRUE(std::isnan(rows[2][0]));
    EXPECT_TRUE(std::isnan(rows[2][1]));
    EXPECT_EQ(rows[2][2], 7);
}

TEST(Csv, AFileThatIsNotWhatWasScannedIsNoticed) {
    const auto facts = facts_of("x,c\n1,red\n");
    for (const auto* changed : {"x,c\n1,green\n", "x,c\nz,red\n", "x,c\n1\n"}) {
        MemoryStream stream(changed, "t.csv");
        auto rows = CsvRows::open(stream, facts, {0, 1});
        std::vector<double> values(2);
        const auto more = rows->next(values);
        ASSERT_FALSE(more.has_value()) << changed;
        EXPECT_NE(more.error().message.find("line 2"), std::string::npos);
    }
}

TEST(Csv, DistinctValuesAreKeptUpToALimit) {
    std::string text = "id,word,label\n";
    for (int i = 0; i < 70000; ++i) {
        text +=
            std::to_string(i * 3) + ",w" + std::to_string(i) + "," + std::to_string(i % 10) + "\n";
    }
    const auto facts = facts_of(text);
    EXPECT_FALSE(facts.table.columns[0].distinct_known);
    EXPECT_FALSE(facts.table.columns[1].distinct_known);
    ASSERT_EQ(facts.table.columns[2].numbers.size(), 10U);
    EXPECT_EQ(facts.table.columns[2].numbers[9].second, 7000U);
    MemoryStream stream(text);
    const auto rows = CsvRows::open(stream, facts, {1});
    ASSERT_FALSE(rows.has_value());
    EXPECT_NE(rows.error().message.find("too many distinct words"), std::string::npos);
    EXPECT_EQ(rows_of(text, facts, {0, 2}).back(), (std::vector<double>{209997, 9}));
}

TEST(Csv, FactsDoNotDependOnTheOrderOfRows) {
    Rng rng(8);
    std::vector<std::string> lines;
    for (int i = 0; i < 2000; ++i) {
        lines.push_back(
            std::to_string(rng.normal() * std::pow(10, rng.below(9))) + ",c" +
            std::to_string(rng.below(40)) + "\n"
        );
    }
    const auto text = [&] {
        std::string all = "x,c\n";
        for (const auto& line : lines) all += line;
        return all;
    };
    const auto before = facts_of(text());
    rng.shuffle(std::span<std::string>(lines));
    const auto after = facts_of(text());
    EXPECT_EQ(before.table.columns[0].mean, after.table.columns[0].mean);
    EXPECT_EQ(before.table.columns[0].deviation, after.table.columns[0].deviation);
    EXPECT_EQ(before.table.columns[1].categories, after.table.columns[1].categories);
}

struct Expected {
    const char* column;
    double min, max, mean, deviation;
};

void expect_columns(const TableFacts& table, std::span<const Expected> expected) {
    for (const auto& wanted : expected) {
        const auto place = table.column(wanted.column);
        ASSERT_TRUE(place.has_value());
        const auto& column = table.columns[*place];
        EXPECT_EQ(column.missing, 0U);
        EXPECT_EQ(column.min, wanted.min) << wanted.column;
        EXPECT_EQ(column.max, wanted.max) << wanted.column;
        EXPECT_DOUBLE_EQ(column.mean, wanted.mean) << wanted.column;
        EXPECT_DOUBLE_EQ(column.deviation, wanted.deviation) << wanted.column;
    }
}

TEST(Csv, CreditDefaultIsWhatPythonReads) {
    const auto path = shared_data("uci-credit-default") / "UCI_Credit_Card.csv.gz";
    STARLING_NEEDS_SHARED(path);
    auto stream = FileStream::open(path);
    ASSERT_TRUE(stream.has_value());
    const auto facts = scan_csv(*stream, {});
    ASSERT_TRUE(facts.has_value()) << facts.error().message;
    EXPECT_EQ(facts->table.rows, 30000U);
    EXPECT_EQ(facts->table.columns.size(), 25U);
    EXPECT_EQ(facts->table.columns.back().numbers[1].second, 6636U) << "defaults";
    const Expected expected[] = {
        {"LIMIT_BAL", 10000, 1000000, 167484.32266666667, 129745.49908815547},
        {"AGE", 21, 79, 35.4855, 9.217750435075432},
        {"BILL_AMT6", -339603, 961664, 38871.7604, 59553.11496001525},
    };
    expect_columns(facts->table, expected);
}

TEST(Csv, CardFraudIsWhatPythonReads) {
    const auto path = shared_data("creditcard-ulb-sample") / "creditcard_sample.csv.gz";
    STARLING_NEEDS_SHARED(path);
    auto stream = FileStream::open(path);
    ASSERT_TRUE(stream.has_value());
    const auto facts = scan_csv(*stream, {});
    ASSERT_TRUE(facts.has_value()) << facts.error().message;
    EXPECT_EQ(facts->table.rows, 5706U);
    EXPECT_EQ(facts->table.columns.back().numbers[1].second, 492U) << "frauds";
    const Expected expected[] = {
        {"Amount", 0, 7712.43, 73.98552050473187, 217.70579325922918},
        {"V1", -30.552380043581, 2.3683626670482405, -0.6433630789454211, 2.762818067629212},
        {"V17", -25.1627993693248, 6.73938438478335, -0.6453347069962113, 2.8378963203014034},
    };
    expect_columns(facts->table, expected);
    auto again = FileStream::open(path);
    auto rows = CsvRows::open(*again, *facts, {0, 29, 30});
    std::vector<double> values(3);
    ASSERT_TRUE(*rows->next(values));
    EXPECT_EQ(values, (std::vector<double>{1146, 50, 0}));
}

}  // namespace
}  // namespace starling::data
