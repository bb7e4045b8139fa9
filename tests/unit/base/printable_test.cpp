// Goal: a stranger's text stays on its line, looks like what it is, is short, and is otherwise left as it
// is. Method: tables; and every sequence of three bytes, whose result must be what it was made of.

#include "base/printable.hpp"

#include <gtest/gtest.h>

namespace starling {
namespace {

struct Row {
    std::string text;
    std::string shown;
};

TEST(Printable, ReplacesControlCharactersAndKeepsAllElse) {
    const Row rows[] = {
        {"", ""},
        {"cnn?hidden=8", "cnn?hidden=8"},
        {"caf\xc3\xa9 \xe4\xb8\xad \xf0\x9f\x90\xa6", "caf\xc3\xa9 \xe4\xb8\xad \xf0\x9f\x90\xa6"},
        {"a\nb\tc", "a?b?c"},
        {std::string("\0\x1f\x7f", 3), "???"},
        {"\x1b[2J", "?[2J"},
        {"\xc2\x9b"
         "2J\xc2\xa0",
         "?2J\xc2\xa0"},
    };
    for (const auto& row : rows) EXPECT_EQ(printable(row.text), row.shown);
}

TEST(Printable, ReplacesBytesThatAreNoUtf8) {
    const Row rows[] = {
        {"caf\xe9", "caf?"},
        {"\xc2", "?"},
        {"\x9b"
         "2J",
         "?2J"},
        {"\xc0\xaf", "??"},                 // a slash, too long
        {"\xe0\x80\xaf", "???"},            // another
        {"\xed\xa0\x80", "???"},            // half of a pair
        {"\xf4\x90\x80\x80", "????"},       // above the last
        {"\xf8\x88\x80\x80\x80", "?????"},  // five bytes
        {"\xe4\xb8", "??"},                 // cut
        {"\xe4\xb8z", "??z"},
    };
    for (const auto& row : rows) EXPECT_EQ(printable(row.text), row.shown);
}

TEST(Printable, ReplacesWhatTurnsTheTextAroundOrHides) {
    for (const char* hidden :
         {"\xe2\x80\xae",         // right-to-left override
          "\xe2\x81\xa6",         // isolate
          "\xe2\x80\x8b",         // zero width
          "\xe2\x80\xa8",         // line separator
          "\xc2\xad",             // soft hyphen
          "\xef\xbb\xbf",         // byte order mark
          "\xf3\xa0\x81\x81"}) {  // tag
        EXPECT_EQ(printable("a" + std::string(hidden) + "b"), "a?b") << hidden;
    }
}

TEST(Printable, LeavesOnlyUtf8WithoutControlsOfAnyThreeBytes) {
    for (unsigned a = 0x70; a < 0x100; ++a) {
        for (unsigned b = 0x70; b < 0x100; ++b) {
            for (unsigned c = 0x78; c < 0x100; c += 3) {
                const std::string text{
                    static_cast<char>(a), static_cast<char>(b), static_cast<char>(c)};
                const auto shown = printable(text);
                ASSERT_EQ(printable(shown), shown) << a << " " << b << " " << c;
                for (const char one : shown) ASSERT_FALSE(is_control(one));
            }
        }
    }
}

TEST(Excerpt, HasAtMostSoManyCharactersAndSaysThatThereAreMore) {
    EXPECT_EQ(excerpt("abc", 3), "abc");
    EXPECT_EQ(excerpt("abcd", 3), "abc...");
    EXPECT_EQ(excerpt("\xc3\xa9\xc3\xa9\xc3\xa9", 2), "\xc3\xa9\xc3\xa9...");
    EXPECT_EQ(excerpt(std::string(5000, 'x')), std::string(200, 'x') + "...");
}

TEST(InQuotes, IsBetweenQuotesThatTheTextCannotEnd) {
    EXPECT_EQ(in_quotes("good bye"), "\"good bye\"");
    EXPECT_EQ(in_quotes("a\" and so b\x1b[2J"), "\"a' and so b?[2J\"");
    EXPECT_EQ(in_quotes(""), "\"\"");
}

}  // namespace
}  // namespace starling
