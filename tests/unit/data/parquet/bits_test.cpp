// Goal: the small numbers of Parquet's encodings are read as its pages say. Method: the examples of
// Encodings.md, bits taken one by one, and spans that are cut off.

#include "data/parquet/bits.hpp"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <limits>

#include "data/parquet/numbers.hpp"
#include "tests/unit/data/parquet/parquet_encodings.hpp"

namespace starling::data {
namespace {

std::vector<std::uint32_t> runs(std::string_view bytes, unsigned width) {
    RunLengths reader(as_byte_view(bytes), width);
    std::vector<std::uint32_t> all;
    std::uint32_t value = 0;
    while (all.size() < 1000 && reader.next(value)) all.push_back(value);
    return all;
}

std::vector<std::int64_t> steps(std::string_view bytes) {
    DeltaNumbers reader;
    std::vector<std::int64_t> all;
    if (!reader.begin(as_byte_view(bytes))) return all;
    std::int64_t value = 0;
    while (reader.next(value)) all.push_back(value);
    return all;
}

TEST(ParquetBits, NumbersSideBySideBeginAtTheLowestBit) {
    // The example of Encodings.md: 0 to 7 with three bits each.
    EXPECT_EQ(runs("\x03\x88\xc6\xfa", 3), (std::vector<std::uint32_t>{0, 1, 2, 3, 4, 5, 6, 7}));
    EXPECT_EQ(runs("\x0a\x2c\x01", 9), (std::vector<std::uint32_t>(5, 300)));
    EXPECT_EQ(runs(std::string_view("\x06", 1), 0), (std::vector<std::uint32_t>(3, 0)));
    EXPECT_EQ(runs("\x03\x88", 3).size(), 2U) << "what is cut off is not there";
    EXPECT_TRUE(runs("\x06", 8).empty());
    EXPECT_TRUE(runs("\xff\xff\xff\xff\xff\xff", 1).empty()) << "a length of more than 32 bits";
    const std::string many("\x5a\xc3\x0f\x99\x12\x34\x56\x78\x9a\xbc\xde\xf0\x11\x22", 14);
    for (unsigned width = 1; width <= 64; ++width) {
        for (std::uint64_t bit = 0; bit + width <= many.size() * 8; ++bit) {
            std::uint64_t expected = 0;
            for (unsigned i = 0; i < width; ++i) {
                const auto byte = static_cast<unsigned char>(many[(bit + i) / 8]);
                expected |= static_cast<std::uint64_t>((byte >> ((bit + i) % 8)) & 1U) << i;
            }
            ASSERT_EQ(bits_at(as_byte_view(many), bit, width), expected) << width << " at " << bit;
        }
    }
}

TEST(ParquetBits, DifferencesAreThoseOfTheFormatsExamples) {
    // 7, 5, 3, 1, 2, 3, 4, 5 of Encodings.md: least difference -2, then 0 0 0 3 3 3 3 with two bits.
    const std::string example("\x80\x01\x04\x08\x0e\x03\x02\x00\x00\x00\xc0\x3f\0\0\0\0\0\0", 18);
    EXPECT_EQ(steps(example), (std::vector<std::int64_t>{7, 5, 3, 1, 2, 3, 4, 5}));
    constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
    constexpr auto kLeast = std::numeric_limits<std::int64_t>::min();
    std::vector<std::int64_t> numbers{kMost, kLeast, 0, kLeast, kMost, -1, 1};
    for (int i = 0; i < 300; ++i) numbers.push_back(i * i * (i % 3 - 1));
    const auto packed = testing::delta_packed(numbers);
    EXPECT_EQ(steps(packed), numbers);
    DeltaNumbers reader;
    ASSERT_TRUE(reader.begin(as_byte_view(packed)));
    std::size_t end = 0;
    ASSERT_TRUE(reader.end(end));
    EXPECT_EQ(end, packed.size());
    for (std::size_t i = 0; i < packed.size(); ++i) {
        const auto read = steps(std::string_view(packed).substr(0, i));
        ASSERT_LE(read.size(), numbers.size());
        EXPECT_TRUE(std::equal(read.begin(), read.end(), numbers.begin())) << "cut off at " << i;
    }
    DeltaNumbers odd;
    EXPECT_FALSE(odd.begin(as_byte_view("\x80\x01\x03\x08\x0e"))) << "128 in three parts";
    EXPECT_FALSE(odd.begin(as_byte_view(std::string_view("\x00\x04\x08\x0e", 4))));
}

TEST(ParquetNumbers, DecimalsAreRoundedOnce) {
    EXPECT_EQ(decimal_of(12345, 2), 123.45);
    EXPECT_EQ(decimal_of(-1, 30), -1e-30);
    EXPECT_EQ(decimal_of(std::numeric_limits<std::int64_t>::min(), 3), -9223372036854775.808);
    EXPECT_EQ(decimal_of(9007199254740993, 1), 900719925474099.3);
    const auto of = [](std::string_view bytes, std::uint32_t scale) {
        return decimal_of_bytes(as_byte_view(bytes), scale);
    };
    EXPECT_EQ(of("", 2), 0);
    EXPECT_EQ(of("\xff", 2), -0.01);
    EXPECT_EQ(of(std::string_view("\x00\xff", 2), 0), 255);
    EXPECT_EQ(of(std::string_view("\0\0\0\0\0\0\0\0\0\0\x30\x39", 12), 2), 123.45);
    EXPECT_EQ(of(std::string(15, '\xff') + "\x85", 1), -12.3);
    // 2^64 and -2^64 - 1
    EXPECT_EQ(of("\x01" + std::string(8, '\0'), 0), 18446744073709551616.0);
    EXPECT_EQ(of("\xfe" + std::string(8, '\xff'), 5), -184467440737095.51617);
    EXPECT_EQ(of(std::string(8, '\xff'), 0), -1);
    EXPECT_EQ(of(std::string("\0\xff\xff\xff\xff\xff\xff\xff\xff", 9), 0), 18446744073709551615.0);
    EXPECT_TRUE(std::isnan(of(std::string(65, '\x55'), 0)));
}

TEST(ParquetNumbers, HalvesAreThoseOfIeee754) {
    EXPECT_EQ(half_of(0x3c00), 1);
    EXPECT_EQ(half_of(0xc000), -2);
    EXPECT_EQ(half_of(0x7bff), 65504);
    EXPECT_EQ(half_of(0x0001), std::ldexp(1.0, -24));
    EXPECT_EQ(half_of(0x0400), std::ldexp(1.0, -14));
    EXPECT_EQ(half_of(0x3555), 0.333251953125);
    EXPECT_TRUE(std::isinf(half_of(0xfc00)));
    EXPECT_TRUE(std::isnan(half_of(0x7e00)));
}

}  // namespace
}  // namespace starling::data
