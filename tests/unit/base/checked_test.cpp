// Goal: no number from outside wraps around unseen. Method: the narrowest type, each pair of values
// against arithmetic in a wider one; an assembly that is told lies.

#include "base/checked.hpp"

#include <cstdint>
#include <gtest/gtest.h>
#include <string>

#include "base/assembly.hpp"
#include "base/secret.hpp"

namespace starling {
namespace {

template <class Exact>
void expect_exact(std::optional<std::uint8_t> result, Exact exact) {
    const bool holds = exact >= 0 && exact <= 255;
    ASSERT_EQ(result.has_value(), holds) << exact;
    if (holds) {
        ASSERT_EQ(*result, exact);
    }
}

TEST(Checked, GivesTheExactResultOrNone) {
    for (int a = 0; a < 256; ++a) {
        for (int b = 0; b < 256; ++b) {
            const auto x = static_cast<std::uint8_t>(a);
            const auto y = static_cast<std::uint8_t>(b);
            expect_exact(checked_add(x, y), a + b);
            expect_exact(checked_sub(x, y), a - b);
            expect_exact(checked_mul(x, y), a * b);
        }
    }
}

TEST(Checked, APartLiesWithinTheWholeOnlyIfItsEndDoes) {
    constexpr auto kMost = static_cast<std::size_t>(-1);
    EXPECT_TRUE(lies_within(0, 0, 0));
    EXPECT_TRUE(lies_within(2, 3, 5));
    EXPECT_FALSE(lies_within(2, 4, 5));
    EXPECT_FALSE(lies_within(6, 0, 5));
    EXPECT_FALSE(lies_within(kMost, 2, 5));
    EXPECT_FALSE(lies_within(2, kMost, 5));
    EXPECT_TRUE(holds_items(12, 3, 4));
    EXPECT_FALSE(holds_items(11, 3, 4));
    EXPECT_FALSE(holds_items(12, kMost / 2, 4));
}

TEST(Assembly, TakesPiecesInOrderUntilTheTotal) {
    Assembly parts(10);
    EXPECT_FALSE(parts.complete());
    EXPECT_TRUE(parts.take(5, 0, as_byte_view("abc")));
    EXPECT_FALSE(parts.complete());
    EXPECT_TRUE(parts.take(5, 3, as_byte_view("de")));
    EXPECT_TRUE(parts.complete());
    EXPECT_FALSE(parts.take(5, 5, as_byte_view("f")));
    EXPECT_EQ(as_text(parts.release()), "abcde");
    EXPECT_TRUE(parts.bytes().empty());
    EXPECT_TRUE(parts.take(1, 0, as_byte_view("g"))) << "it begins anew";
}

TEST(Assembly, RefusesWhatDoesNotBelongThereAndKeepsWhatItHas) {
    Assembly parts(10);
    EXPECT_FALSE(parts.take(11, 0, as_byte_view("abc"))) << "above the limit";
    EXPECT_FALSE(parts.take(0, 0, as_byte_view("abc"))) << "nothing at all";
    EXPECT_FALSE(parts.take(5, 1, as_byte_view("abc"))) << "not the first";
    EXPECT_FALSE(parts.take(5, 0, {})) << "no bytes";
    ASSERT_TRUE(parts.take(5, 0, as_byte_view("abc")));
    EXPECT_FALSE(parts.take(2, 3, as_byte_view("de"))) << "a total below the offset";
    EXPECT_FALSE(parts.take(4, 3, as_byte_view("d"))) << "a total that shrinks";
    EXPECT_FALSE(parts.take(6, 3, as_byte_view("de"))) << "a total that grows";
    EXPECT_FALSE(parts.take(5, 3, as_byte_view("def"))) << "too much";
    EXPECT_FALSE(parts.take(5, 0, as_byte_view("abc"))) << "the same again";
    EXPECT_EQ(as_text(parts.bytes()), "abc");
    EXPECT_TRUE(parts.take(5, 3, as_byte_view("de")));
}

TEST(Secrets, AreEqualOnlyIfEachByteIs) {
    EXPECT_TRUE(equal_secrets("", ""));
    EXPECT_TRUE(equal_secrets("abc", "abc"));
    EXPECT_FALSE(equal_secrets("abc", "ab"));
    for (std::size_t i = 0; i < 3; ++i) {
        std::string other = "abc";
        other[i] = static_cast<char>(other[i] ^ 0x40);
        EXPECT_FALSE(equal_secrets("abc", other));
    }
}

}  // namespace
}  // namespace starling
