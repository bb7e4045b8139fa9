// Goal: a stranger's text stays on its line and is otherwise left as it is. Method: a table.

#include "base/printable.hpp"

#include <gtest/gtest.h>

namespace starling {
namespace {

TEST(Printable, ReplacesControlCharactersAndKeepsAllElse) {
    struct Row {
        std::string text;
        std::string shown;
    };

    const Row rows[] = {
        {"", ""},
        {"cnn?hidden=8", "cnn?hidden=8"},
        {"caf\xc3\xa9 \xe4\xb8\xad", "caf\xc3\xa9 \xe4\xb8\xad"},
        {"a\nb\tc", "a?b?c"},
        {std::string("\0\x1f\x7f", 3), "???"},
        {"\x1b[2J", "?[2J"},
        {"\xc2\x9b"
         "2J\xc2\xa0",
         "??2J\xc2\xa0"},
        {"caf\xe9", "caf\xe9"},
        {"\xc2", "\xc2"},
    };
    for (const auto& row : rows) EXPECT_EQ(printable(row.text), row.shown);
}

}  // namespace
}  // namespace starling
