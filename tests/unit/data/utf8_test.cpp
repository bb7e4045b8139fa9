// Goal: exactly the well-formed sequences are characters. Method: encode and decode every code
// point, and decode a table of the well-known malformed sequences.

#include "data/utf8.hpp"

#include <gtest/gtest.h>

namespace starling::data {
namespace {

TEST(Utf8, EveryCodePointSurvivesTheRoundTripAndSurrogatesDoNot) {
    for (char32_t point = 0; point < 0x110000; ++point) {
        std::string text;
        append_utf8(text, point);
        const auto character = utf8_at(text, 0);
        const bool surrogate = point >= 0xd800 && point < 0xe000;
        ASSERT_EQ(character.has_value(), !surrogate) << static_cast<unsigned>(point);
        if (surrogate) continue;
        ASSERT_EQ(character->point, point);
        ASSERT_EQ(character->bytes, text.size());
    }
}

TEST(Utf8, MalformedSequencesAreNoCharacters) {
    for (const std::string text : {
             "\x80",              // a continuation without a start
             "\xc0\x80",          // longer than needed
             "\xc1\xbf",          //
             "\xe0\x80\x80",      //
             "\xf0\x80\x80\x80",  //
             "\xf4\x90\x80\x80",  // beyond U+10FFFF
             "\xf5\x80\x80\x80",  //
             "\xff",              //
             "\xc3",              // ends too early
             "\xe2\x82",          //
             "\xe2(\xa1",         // a continuation is missing in the middle
             "\xc3(",
         }) {
        EXPECT_FALSE(utf8_at(text, 0).has_value()) << text.size();
        EXPECT_FALSE(utf8_points("ab" + text).has_value());
    }
}

TEST(Utf8, PointsComeInTheOrderOfTheText) {
    const auto points = utf8_points(
        "z\xc3\xa9\xf0\x9f\x90\xa6"
        "a"
    );
    ASSERT_TRUE(points.has_value());
    EXPECT_EQ(*points, (std::vector<char32_t>{'z', 0xe9, 0x1f426, 'a'}));
}

}  // namespace
}  // namespace starling::data
