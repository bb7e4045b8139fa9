// Goal: a peer's status becomes a table, and any other text becomes an error. Method: give texts
// and compare the tables.

#include "peer/commands/status_table.hpp"

#include <gtest/gtest.h>

#include "base/printable.hpp"

namespace starling::peer {
namespace {

TEST(StatusTable, ShowsValuesThenArraysAndDisarmsControlCharacters) {
    const auto text = status_table(
        R"({"id":"abc","state":"training","loss":0.5,
            "members":[{"id":"0123456789abcdef","state":"al\u001bive"},{"id":"x"}]})"
    );
    ASSERT_TRUE(text.has_value());
    EXPECT_EQ(
        *text,
        "id       abc\n"
        "state    training\n"
        "loss     0.5\n"
        "\n"
        "members (2)\n"
        "  id        state\n"
        "  01234567  al?ive\n"
        "  x         -\n"
    );
    EXPECT_FALSE(status_table("<html>").has_value());
    EXPECT_FALSE(status_line("[]").has_value());
}

/// Whoever serves at that address, it does not write on this terminal.
TEST(StatusTable, NothingThatAPeerSaysObeysOrHides) {
    const std::string evil =
        R"("a\u001b]0;x\u0007\u009b2J\u202eb\u200b)" + std::string(500, 'y') + '"';
    const auto body = "{" + evil + ":" + evil + ",\"list\":[[" + evil + "]],\"rows\":[{" + evil +
                      ":" + evil + "}]}";
    const auto table = status_table(body);
    const auto line = status_line(body);
    ASSERT_TRUE(table.has_value() && line.has_value());
    for (const auto& text : {*table, *line}) {
        for (const char c : text) EXPECT_TRUE(c == '\n' || !is_control(c)) << text;
        for (const char* hidden : {"\xc2\x9b", "\xe2\x80\xae", "\xe2\x80\x8b"}) {
            EXPECT_EQ(text.find(hidden), std::string::npos) << text;
        }
    }
    EXPECT_EQ(table->find(std::string(201, 'y')), std::string::npos) << "too long to read";
}

TEST(StatusTable, CutsNoCharacterInTwo) {
    std::string name = "a";
    for (int i = 0; i < 20; ++i) name += "\xc3\xa9";
    const auto table = status_table(R"({"rows":[{"name":")" + name + R"("}]})");
    ASSERT_TRUE(table.has_value());
    EXPECT_EQ(printable(*table).find('?', table->size()), std::string::npos);
    EXPECT_NE(table->find("\xc3\xa9\n"), std::string::npos) << *table;
}

TEST(StatusTable, TakesItsColumnsFromTheFullestRow) {
    const auto text = status_table(
        R"({"members":[{"id":"a","name":null},{"id":"b","name":null,"state":"left","steps":7}]})"
    );
    ASSERT_TRUE(text.has_value());
    EXPECT_EQ(
        *text,
        "\n"
        "members (2)\n"
        "  id  state  steps\n"
        "  a   -      -\n"
        "  b   left   7\n"
    );
}

}  // namespace
}  // namespace starling::peer
