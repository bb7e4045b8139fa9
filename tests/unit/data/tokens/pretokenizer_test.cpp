// Goal: texts are cut as GPT-2's regular expression cuts them. Method: words that Python's `regex`
// module gives for that expression, and the promise about more text behind a word.

#include "data/tokens/pretokenizer.hpp"

#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "base/rng.hpp"

namespace starling::data {
namespace {

using Words = std::vector<std::string>;

Words cut(std::string_view text) {
    Words words;
    for (std::size_t at = 0; at < text.size();) {
        const auto end = word_end(text, at);
        words.emplace_back(text.substr(at, end - at));
        at = end;
    }
    return words;
}

TEST(Pretokenizer, WordsNumbersAndSignsTakeOneSpaceBeforeThem) {
    EXPECT_EQ(cut("Hello world"), (Words{"Hello", " world"}));
    EXPECT_EQ(cut("a 12b !? c"), (Words{"a", " 12", "b", " !?", " c"}));
    EXPECT_EQ(cut("x=1;"), (Words{"x", "=", "1", ";"}));
}

TEST(Pretokenizer, ContractionsAreWordsOnlyInSmallLetters) {
    EXPECT_EQ(cut("it's I'll we've"), (Words{"it", "'s", " I", "'ll", " we", "'ve"}));
    EXPECT_EQ(
        cut("you're I'm he'd don't"), (Words{"you", "'re", " I", "'m", " he", "'d", " don", "'t"})
    );
    EXPECT_EQ(cut("IT'S"), (Words{"IT", "'", "S"}));
    EXPECT_EQ(cut(" 's"), (Words{" '", "s"}));
    EXPECT_EQ(cut("'"), (Words{"'"}));
    EXPECT_EQ(cut("'r"), (Words{"'", "r"}));
    EXPECT_EQ(cut("'tis"), (Words{"'t", "is"}));
}

TEST(Pretokenizer, OfSeveralSpacesTheLastBelongsToWhatFollows) {
    EXPECT_EQ(cut("a  b"), (Words{"a", " ", " b"}));
    EXPECT_EQ(cut("a\n\n\tb"), (Words{"a", "\n\n", "\t", "b"}));
    EXPECT_EQ(cut("a\nb"), (Words{"a", "\n", "b"}));
    EXPECT_EQ(cut("a \n"), (Words{"a", " \n"}));
    EXPECT_EQ(cut("  "), (Words{"  "}));
    EXPECT_EQ(cut("a\xc2\xa0 b"), (Words{"a", "\xc2\xa0", " b"})) << "a no-break space is a space";
    EXPECT_EQ(cut("a\x1c\x1d"), (Words{"a", "\x1c\x1d"}));
    EXPECT_EQ(
        cut(" \x1c"
            "b"),
        (Words{" \x1c", "b"})
    ) << "a file separator is none";
}

TEST(Pretokenizer, LettersAndNumbersOfAllScriptsAreKnown) {
    EXPECT_EQ(cut("Übergröße über"), (Words{"Übergröße", " über"}));
    EXPECT_EQ(cut("Привет, мир"), (Words{"Привет", ",", " мир"}));
    EXPECT_EQ(cut("日本語 三"), (Words{"日本語", " 三"}));
    EXPECT_EQ(cut("x²½"), (Words{"x", "²½"})) << "\\p{No} is a number";
    EXPECT_EQ(cut("a\u0301"), (Words{"a", "\u0301"})) << "a combining mark is no letter";
    EXPECT_EQ(cut("😀😀 a"), (Words{"😀😀", " a"}));
}

TEST(Pretokenizer, BytesThatAreNotUtf8AreSigns) {
    EXPECT_EQ(
        cut("a\xff\xfe"
            "b"),
        (Words{"a", "\xff\xfe", "b"})
    );
    EXPECT_EQ(cut(" \xe2\x82"), (Words{" \xe2\x82"}));
    EXPECT_EQ(cut(std::string_view("\0a", 2)), (Words{std::string(1, '\0'), "a"}));
}

TEST(Pretokenizer, AWordWithoutEndIsCut) {
    const auto words = cut(std::string(kWordBytesMax * 2 + 5, 'a'));
    ASSERT_EQ(words.size(), 3U);
    EXPECT_EQ(words[0].size(), kWordBytesMax);
    EXPECT_EQ(words[2].size(), 5U);
}

TEST(Pretokenizer, MoreTextBehindTheLookaheadChangesNoWord) {
    const std::vector<std::string> parts{
        "a", "'", "s", "l", "re", " ", "\n", "7", "é", "日", "\xff", "\xe2\x82", "-"};
    Rng rng(1);
    for (int round = 0; round < 2000; ++round) {
        std::string text;
        for (int i = 0; i < 12; ++i) text += rng.pick(std::span<const std::string>(parts));
        const auto end = word_end(text, 0);
        for (std::size_t size = end + kWordLookahead; size <= text.size(); ++size) {
            ASSERT_EQ(word_end(std::string_view(text).substr(0, size), 0), end) << text;
        }
    }
}

}  // namespace
}  // namespace starling::data
