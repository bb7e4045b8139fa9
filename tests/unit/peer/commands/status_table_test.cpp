// Goal: a peer's status becomes a table, and any other text becomes an error. Method: give texts
// and compare the tables.

#include "peer/commands/status_table.hpp"

#include <gtest/gtest.h>

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
