// Goal: a SELECT over a database is the table that sqlite3 shows, nothing but a SELECT runs, and a file
// that is damaged, in use or none is one line. Method: databases that SQLite itself writes, changed byte
// by byte, and statements that would write, read elsewhere or never end.

#include "data/tables/sqlite.hpp"

#include <atomic>
#include <cmath>
#include <fstream>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "data/reading.hpp"
#include "tests/unit/data/support/sources.hpp"

namespace starling::data {
namespace {

using testing::open;
using testing::refusal;

class Sqlite : public testing::SourceFiles {
protected:
    /// Runs SQL on a database of the test, which is made if it is not there.
    void run(const std::string& name, const std::string& sql) const {
        sqlite3* database = nullptr;
        ASSERT_EQ(sqlite3_open(path(name).c_str(), &database), SQLITE_OK);
        char* message = nullptr;
        EXPECT_EQ(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, &message), SQLITE_OK)
            << (message == nullptr ? "" : message);
        sqlite3_free(message);
        EXPECT_EQ(sqlite3_close(database), SQLITE_OK);
    }

    /// Reads all rows of all columns; a missing value is NaN.
    [[nodiscard]] Result<std::vector<std::vector<double>>> rows(
        const std::string& name, const SqliteChoice& choice, const TableOptions& options = {}
    ) const {
        auto table = SqliteTable::open(path(name), choice);
        if (!table) return table.error();
        if (auto ok = (*table)->scan(options); !ok) return ok.error();
        std::vector<std::size_t> columns;
        for (std::size_t i = 0; i < (*table)->facts().columns.size(); ++i) columns.push_back(i);
        if (auto ok = (*table)->begin(columns); !ok) return ok.error();
        std::vector<std::vector<double>> all;
        std::vector<double> values(columns.size());
        while (true) {
            const auto more = (*table)->next(values);
            if (!more) return more.error();
            if (!*more) return all;
            all.push_back(values);
        }
    }

    void expect_refused(const std::string& query, const char* part) const {
        const auto read = rows("t.db", {query, ""});
        ASSERT_FALSE(read.has_value()) << query;
        EXPECT_EQ(read.error().code, FaultCode::Usage) << query;
        EXPECT_NE(read.error().message.find(part), std::string::npos) << read.error().message;
        EXPECT_EQ(read.error().message.find('\n'), std::string::npos);
    }
};

constexpr const char* kTable =
    "create table t(id integer, town text, n real, note);"
    "insert into t values(1, 'Bern', 0.5, null), (2, 'Chur', null, 7), (3, ' Bern ', 9e999, '8');";

TEST_F(Sqlite, TheOnlyTableIsReadAndAQueryIsWhatItGives) {
    run("t.db", kTable);
    const auto all = rows("t.db", {});
    ASSERT_TRUE(all.has_value()) << all.error().message;
    ASSERT_EQ(all->size(), 3U);
    EXPECT_EQ((*all)[0][0], 1);
    EXPECT_EQ((*all)[1][1], 1) << "Chur is the second word";
    EXPECT_EQ((*all)[2][1], 0) << "spaces around a word are not a part of it";
    EXPECT_TRUE(std::isnan((*all)[1][2]));
    EXPECT_TRUE(std::isnan((*all)[2][2])) << "infinity is missing";
    EXPECT_TRUE(std::isnan((*all)[0][3]));
    EXPECT_EQ((*all)[1][3] + (*all)[2][3], 15) << "a text is read as in a CSV file";
    const auto some =
        rows("t.db", {"select id * 10 as ten, town from t where id > 1 order by id", ""});
    ASSERT_TRUE(some.has_value()) << some.error().message;
    EXPECT_EQ(*some, (std::vector<std::vector<double>>{{20, 1}, {30, 0}}));
    const auto counted = rows(
        "t.db",
        {"with recursive c(i) as (select 1 union all select i + 1 from c limit 50) select i, i % 2 "
         "from c;  ",
         ""}
    );
    ASSERT_TRUE(counted.has_value()) << counted.error().message;
    EXPECT_EQ(counted->size(), 50U);
    const auto coded = rows("t.db", {"select id from t", ""}, {{"id"}, {}});
    EXPECT_EQ(*coded, (std::vector<std::vector<double>>{{0}, {1}, {2}}));
}

TEST_F(Sqlite, TablesAreNamedAndOddNamesAreQuoted) {
    run("t.db", kTable);
    run("t.db",
        "create table \"a \"\"b\"\"; drop table t\"(x); insert into \"a \"\"b\"\"; drop table t\" "
        "values(4)");
    const auto several = rows("t.db", {});
    ASSERT_FALSE(several.has_value());
    EXPECT_NE(
        several.error().message.find("there are several tables; give table=NAME of a \"b\""),
        std::string::npos
    ) << several.error().message;
    EXPECT_EQ(
        *rows("t.db", {"", "a \"b\"; drop table t"}), (std::vector<std::vector<double>>{{4}})
    );
    EXPECT_EQ(rows("t.db", {"", "t"})->size(), 3U);
    EXPECT_NE(rows("t.db", {"", "none"}).error().message.find("no such table"), std::string::npos);
    run("no table.db", "pragma user_version = 3; create table t(a); drop table t");
    EXPECT_NE(rows("no table.db", {}).error().message.find("there is no table"), std::string::npos);
    run("empty.db", "create table t(a)");
    EXPECT_NE(rows("empty.db", {}).error().message.find("there is no row"), std::string::npos);
    run("odd?name#%41.db", kTable);
    EXPECT_TRUE(rows("odd?name#%41.db", {}).has_value()) << "a path is no URI";
}

TEST_F(Sqlite, NothingButASelectRuns) {
    run("t.db", kTable);
    const auto before = testing::read_bytes(path("t.db"));
    for (const auto* query :
         {"delete from t",
          "insert into t values(9, 'x', 1, 2)",
          "drop table t",
          "create table u(a)",
          "attach 'other.db' as o",
          "pragma table_info(t)",
          "select * from pragma_table_info('t')",
          "select RANDOM() from t",
          "select * from t order by random()",
          "vacuum into 'copy.db'",
          "select load_extension('x')",
          "begin",
          "update t set id = 1 returning id"}) {
        expect_refused(query, "");
    }
    expect_refused("select 1; select 2", "query= wants one SELECT");
    expect_refused("explain select 1", "query= wants one SELECT");
    expect_refused("-- nothing", "query= wants one SELECT");
    expect_refused("select * from t where id = :a", "a parameter in query= has no value");
    expect_refused("select nonsense from t", "no such column");
    expect_refused("select id from t where id > 5", "there is no row");
    const auto longest = rows("t.db", {std::string(100000, ' ') + "select 1", ""});
    EXPECT_EQ(longest.error().code, FaultCode::Oversized);
    EXPECT_EQ(testing::read_bytes(path("t.db")), before);
    EXPECT_FALSE(std::filesystem::exists("copy.db") || std::filesystem::exists("other.db"));
}

TEST_F(Sqlite, ValuesThatDoNotFitAreToldWithTheirRow) {
    run("t.db", "create table t(a, b); insert into t values(1, x'00'), ('x', x'01')");
    const auto word = rows("t.db", {"select a from t", ""});
    EXPECT_NE(
        word.error().message.find("t.db: row 2, column 'a': 'x' is a word"), std::string::npos
    ) << word.error().message;
    EXPECT_EQ(rows("t.db", {"select a from t", ""}, {{"a"}, {}})->size(), 2U);
    const auto mixed = rows("t.db", {"select 1 as b union all select b from t", ""});
    EXPECT_NE(mixed.error().message.find("a blob"), std::string::npos) << mixed.error().message;
    auto table = SqliteTable::open(path("t.db"), {"select b from t", ""});
    ASSERT_TRUE((*table)->scan({}).has_value());
    EXPECT_EQ((*table)->facts().columns[0].kind, ColumnKind::Nested);
    EXPECT_EQ((*table)->begin({0}).error().code, FaultCode::Unsupported);
    const auto large = rows("t.db", {"select zeroblob(100000000) as z", ""});
    EXPECT_EQ(large.error().code, FaultCode::Oversized) << large.error().message;
}

TEST_F(Sqlite, WhatIsNoDatabaseOrInUseIsRefusedInOneLine) {
    run("t.db", kTable);
    put("text.db", "a,b\n1,2\n and much more than the first page of a database would have");
    EXPECT_NE(
        rows("text.db", {}).error().message.find("it is no SQLite database"), std::string::npos
    );
    EXPECT_EQ(rows("none.db", {}).error().code, FaultCode::NotFound);
    EXPECT_FALSE(std::filesystem::exists(path("none.db")));
    for (const auto* suffix : {"-wal", "-journal"}) {
        put(std::string("t.db") + suffix, "something");
        EXPECT_EQ(rows("t.db", {}).error().code, FaultCode::Busy);
        put(std::string("t.db") + suffix, "");
        EXPECT_TRUE(rows("t.db", {}).has_value());
    }
}

TEST_F(Sqlite, AnEndlessQueryEndsWhenTheReadingIsStopped) {
    run("t.db", kTable);
    std::atomic<bool> stop{false};
    const Reading reading({}, &stop);
    const SqliteChoice choice{
        "with recursive c(i) as (select 1 union all select i + 1 from c) select count(*) from c",
        ""};
    const auto table = SqliteTable::open(path("t.db"), choice);
    ASSERT_TRUE(table.has_value()) << table.error().message;
    stop = true;
    const auto read = (*table)->scan({});
    ASSERT_FALSE(read.has_value());
    EXPECT_EQ(read.error().code, FaultCode::Cancelled) << read.error().message;
}

TEST_F(Sqlite, NoChangedOrMissingByteDoesHarm) {
    run("t.db", "pragma page_size = 512; create table t(id integer primary key, town text, n)");
    for (int i = 0; i < 40; ++i) {
        run("t.db",
            "insert into t values(null, 'town" + std::to_string(i % 3) + "', " + std::to_string(i) +
                ")");
    }
    const std::string whole(as_text(testing::read_bytes(path("t.db"))));
    for (std::size_t at = 0; at < whole.size(); ++at) {
        auto changed = whole;
        changed[at] = static_cast<char>(static_cast<unsigned char>(changed[at]) ^ (1U << (at % 8)));
        put("changed.db", changed);
        const auto read = rows("changed.db", {});
        if (!read) {
            EXPECT_EQ(read.error().message.find('\n'), std::string::npos);
        }
        if (at % 16 == 0) {
            put("cut.db", std::string_view(whole).substr(0, at));
            EXPECT_FALSE(rows("cut.db", {}).has_value()) << at;
        }
    }
}

TEST_F(Sqlite, ADatabaseIsTheDataSetThatItsCsvIs) {
    std::string csv = "id,town,n,y\n";
    std::string sql = "create table t(id, town, n, y); create table other(a);";
    for (int i = 0; i < 200; ++i) {
        const std::string town = i % 3 == 0 ? "Bern" : "Chur";
        const std::string y = i % 2 == 0 ? "a" : "b";
        const auto n = i % 7 == 0 ? std::string() : shortest_text(i * 0.5);
        csv += std::to_string(i) + "," + town + "," + n + "," + y + "\n";
        sql += "insert into t values(" + std::to_string(i) + ",'" + town + "'," +
               (n.empty() ? "null" : n) + ",'" + y + "');";
    }
    put("t.csv", csv);
    run("t.db", "begin;" + sql + "commit");
    const auto expected = open("csv:" + path("t.csv") + "?label=y&split=id%5==0&drop=n");
    const auto source = open("sqlite:" + path("t.db") + "?table=t&label=y&split=id%5==0&drop=n");
    ASSERT_NE(source, nullptr);
    EXPECT_EQ(source->schema(), expected->schema());
    EXPECT_EQ(source->recipe(), expected->recipe());
    ASSERT_EQ(source->count(Split::Train), expected->count(Split::Train));
    for (std::uint64_t i = 0; i < source->count(Split::Train); ++i) {
        Bytes ours;
        Bytes theirs;
        ASSERT_TRUE(source->read(Split::Train, i, ours).has_value());
        ASSERT_TRUE(expected->read(Split::Train, i, theirs).has_value());
        EXPECT_EQ(ours, theirs);
    }
    const auto joined =
        open("sqlite:" + path("t.db") + "?query=SELECT n, y FROM t WHERE id>=100&label=y");
    ASSERT_NE(joined, nullptr);
    EXPECT_EQ(joined->count(Split::Train) + joined->count(Split::Test), 100U);
    EXPECT_EQ(refusal("sqlite:" + path("t.db") + "?query=SELECT 1&table=t").code, FaultCode::Usage);
    EXPECT_EQ(refusal("csv:" + path("t.csv") + "?table=t").code, FaultCode::Usage);
    const auto odd = refusal("sqlite:x?no-such-key=1");
    EXPECT_NE(odd.message.find(",query,table"), std::string::npos) << odd.message;
}

}  // namespace
}  // namespace starling::data
