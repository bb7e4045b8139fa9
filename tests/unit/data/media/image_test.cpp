// Goal: pictures are what Pillow and numpy read from the same bytes, and no bytes do harm.
// Method: small files with their pixels, made by tests/golden/images.py; the same files cut at every
// length and with bits flipped; and headers that promise too much.

#include "data/media/image.hpp"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "tests/unit/data/support/golden.hpp"

namespace starling::data {
namespace {

using testing::golden;
using testing::golden_pnm;

/// Checks each value against a golden picture.
void expect_like(const Result<Image>& got, const Image& expected, int levels) {
    ASSERT_TRUE(got.has_value()) << got.error().message;
    ASSERT_EQ(got->channels, expected.channels);
    ASSERT_EQ(got->height, expected.height);
    ASSERT_EQ(got->width, expected.width);
    ASSERT_EQ(got->values.size(), expected.values.size());
    int most = 0;
    for (std::size_t i = 0; i < expected.values.size(); ++i) {
        most = std::max(most, std::abs(int{got->values[i]} - int{expected.values[i]}));
    }
    EXPECT_LE(most, levels);
}

void expect_fault(const Result<Image>& got, FaultCode code, const std::string& words) {
    ASSERT_FALSE(got.has_value());
    EXPECT_EQ(to_string(got.error().code), to_string(code)) << got.error().message;
    EXPECT_NE(got.error().message.find(words), std::string::npos) << got.error().message;
    EXPECT_EQ(got.error().message.find('\n'), std::string::npos);
}

/// Replaces bytes at `at`.
Bytes with(Bytes bytes, std::size_t at, std::initializer_list<int> values) {
    for (const int value : values) bytes.at(at++) = static_cast<std::byte>(value);
    return bytes;
}

/// Where the segment or chunk name stands.
std::size_t find(const Bytes& bytes, std::string_view name) {
    const auto at = as_text(bytes).find(name);
    STARLING_CHECK(at != std::string_view::npos);
    return at;
}

class JpegGolden : public ::testing::TestWithParam<const char*> {};

TEST_P(JpegGolden, IsWithinTwoLevelsOfPillow) {
    const std::string name = std::string("media/") + GetParam();
    expect_like(decode_image(golden(name + ".jpg"), {}), golden_pnm(name + ".pnm"), 2);
}

INSTANTIATE_TEST_SUITE_P(
    Jpeg,
    JpegGolden,
    ::testing::Values(
        "subsampled",
        "full",
        "progressive",
        "grey",
        "cmyk",
        "turn1",
        "turn2",
        "turn3",
        "turn4",
        "turn5",
        "turn6",
        "turn7",
        "turn8",
        "large"
    ),
    [](const auto& test) { return std::string(test.param); }
);

class PngGolden : public ::testing::TestWithParam<const char*> {};

TEST_P(PngGolden, IsExact) {
    const std::string name = std::string("media/") + GetParam();
    expect_like(decode_image(golden(name + ".png"), {}), golden_pnm(name + ".pnm"), 0);
}

INSTANTIATE_TEST_SUITE_P(
    Png,
    PngGolden,
    ::testing::Values(
        "grey1",
        "grey2",
        "grey4",
        "grey8",
        "grey16",
        "grey8_key",
        "grey2_key",
        "greya8",
        "rgb8",
        "rgb16",
        "rgb8_key",
        "rgba8",
        "rgba8_interlaced",
        "rgba16",
        "interlaced",
        "gamma",
        "palette4",
        "palette4_clear",
        "turned"
    ),
    [](const auto& test) { return std::string(test.param); }
);

TEST(ImageProbe, SaysWhatDecodingGives) {
    std::size_t seen = 0;
    for (const auto& entry : std::filesystem::directory_iterator(testing::golden_path("media"))) {
        if (entry.path().extension() != ".jpg" && entry.path().extension() != ".png") continue;
        SCOPED_TRACE(entry.path().filename());
        const auto bytes = testing::read_bytes(entry.path());
        const auto facts = probe_image(bytes);
        const auto image = decode_image(bytes, {});
        ASSERT_TRUE(facts.has_value()) << facts.error().message;
        ASSERT_TRUE(image.has_value()) << image.error().message;
        EXPECT_EQ(facts->channels, image->channels);
        EXPECT_EQ(facts->height, image->height);
        EXPECT_EQ(facts->width, image->width);
        EXPECT_EQ(facts->format == ImageFormat::Png, entry.path().extension() == ".png");
        ++seen;
    }
    EXPECT_EQ(seen, 33U);
}

TEST(ImageProbe, ReadsTheTurnOfBothFormats) {
    EXPECT_EQ(probe_image(golden("media/turn8.jpg"))->turn, 8);
    EXPECT_EQ(probe_image(golden("media/turned.png"))->turn, 6);
    EXPECT_EQ(probe_image(golden("media/full.jpg"))->turn, 1);
}

TEST(ImageProbe, TakesATurnThatDoesNotExistForNone) {
    const auto bytes = golden("media/turn8.jpg");
    const auto tag = find(bytes, std::string_view("\x01\x12\x00\x03", 4));
    EXPECT_EQ(probe_image(bytes)->turn, 8);
    EXPECT_EQ(probe_image(with(bytes, tag + 8, {0, 9}))->turn, 1);
    EXPECT_EQ(probe_image(with(bytes, tag + 8, {0, 0}))->turn, 1);
    EXPECT_EQ(probe_image(with(bytes, tag + 3, {4}))->turn, 1);
}

TEST(ImageDecoding, GivesTheChannelsThatAreAskedFor) {
    const auto colour = decode_image(golden("media/rgb8.png"), {});
    const auto grey = decode_image(golden("media/rgb8.png"), {.channels = 1});
    ASSERT_TRUE(colour.has_value() && grey.has_value());
    ASSERT_EQ(grey->channels, 1U);
    ASSERT_EQ(grey->values.size() * 3, colour->values.size());
    for (std::size_t i = 0; i < grey->values.size(); ++i) {
        const auto* rgb = &colour->values[3 * i];
        EXPECT_NEAR(grey->values[i], 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2], 0.51);
    }
    const auto spread = decode_image(golden("media/grey.jpg"), {.channels = 3});
    const auto plain = decode_image(golden("media/grey.jpg"), {});
    ASSERT_TRUE(spread.has_value() && plain.has_value());
    expect_like(with_channels(*plain, 3), *spread, 0);
}

TEST(ImageDecoding, AJpegInColourGivesItsLumaForGrey) {
    const auto colour = decode_image(golden("media/full.jpg"), {});
    ASSERT_TRUE(colour.has_value());
    expect_like(
        decode_image(golden("media/full.jpg"), {.channels = 1}), with_channels(*colour, 1), 2
    );
}

TEST(ImageDecoding, ScalesAJpegAsFarAsTheRequestAllows) {
    const auto large = golden("media/large.jpg");  // 70 wide, 48 high
    expect_like(
        decode_image(large, {.at_least_height = 24, .at_least_width = 35}),
        golden_pnm("media/large_half.pnm"),
        2
    );
    expect_like(
        decode_image(large, {.at_least_height = 12}), golden_pnm("media/large_quarter.pnm"), 2
    );
    expect_like(
        decode_image(large, {.at_least_height = 1, .at_least_width = 1}),
        golden_pnm("media/large_eighth.pnm"),
        2
    );
    for (const std::uint32_t too_much : {25U, 48U, 4000U}) {
        const auto whole = decode_image(large, {.at_least_height = too_much});
        ASSERT_TRUE(whole.has_value());
        EXPECT_EQ(whole->height, 48U);
    }
}

TEST(ImageDecoding, ARequestedSizeIsThatOfTheTurnedPicture) {
    // 12 wide and 8 high in the file, 8 wide and 12 high as shown.
    const auto shown =
        decode_image(golden("media/turn6.jpg"), {.at_least_height = 6, .at_least_width = 1});
    ASSERT_TRUE(shown.has_value());
    EXPECT_EQ(shown->height, 6U);
    EXPECT_EQ(shown->width, 4U);
}

TEST(ImageTurn, FollowsTheTableOfExif) {
    // 0 1 2
    // 3 4 5
    const Image image{1, 2, 3, {0, 1, 2, 3, 4, 5}};
    const std::vector<std::vector<std::uint8_t>> expected{
        {0, 1, 2, 3, 4, 5},
        {2, 1, 0, 5, 4, 3},
        {5, 4, 3, 2, 1, 0},
        {3, 4, 5, 0, 1, 2},
        {0, 3, 1, 4, 2, 5},
        {3, 0, 4, 1, 5, 2},
        {5, 2, 4, 1, 3, 0},
        {2, 5, 1, 4, 0, 3}};
    for (std::uint8_t turn = 1; turn <= 8; ++turn) {
        const auto result = turned(image, turn);
        EXPECT_EQ(result.values, expected[turn - 1U]) << int{turn};
        EXPECT_EQ(result.height, turn >= 5 ? 3U : 2U);
    }
}

// Bad bytes.

TEST(ImageFaults, OtherFormatsAreNamed) {
    expect_fault(decode_image(as_byte_view("GIF89a..."), {}), FaultCode::BadFormat, "JPEG nor PNG");
    expect_fault(decode_image({}, {}), FaultCode::BadFormat, "JPEG nor PNG");
}

TEST(ImageFaults, EveryTruncationIsAFault) {
    for (const auto* name :
         {"full.jpg", "progressive.jpg", "cmyk.jpg", "rgb8.png", "interlaced.png"}) {
        const auto bytes = golden(std::string("media/") + name);
        for (std::size_t length = 8; length < bytes.size(); ++length) {
            SCOPED_TRACE(std::string(name) + " " + std::to_string(length));
            expect_fault(
                decode_image(ByteView(bytes).first(length), {}), FaultCode::Truncated, "byte"
            );
        }
    }
}

TEST(ImageFaults, NamesThePlaceWhereThePictureEnds) {
    const auto bytes = golden("media/large.jpg");
    const auto cut = decode_image(ByteView(bytes).first(bytes.size() - 60), {});
    expect_fault(
        cut,
        FaultCode::Truncated,
        "byte " + std::to_string(bytes.size() - 60) + " of " + std::to_string(bytes.size() - 60)
    );
    EXPECT_NE(cut.error().message.find("in row"), std::string::npos) << cut.error().message;
}

TEST(ImageFaults, TooManyPixelsAreRefusedFromTheHeader) {
    const auto jpeg = golden("media/full.jpg");
    const auto frame = find(jpeg, "\xff\xc0");
    expect_fault(
        decode_image(with(jpeg, frame + 5, {0xea, 0x60, 0xea, 0x60}), {}),
        FaultCode::Oversized,
        "60000 x 60000"
    );
    const auto png = golden("media/rgb8.png");
    expect_fault(
        decode_image(with(png, 16, {0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60}), {}),
        FaultCode::Oversized,
        "60000 x 60000"
    );
    expect_fault(
        decode_image(with(png, 16, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}), {}),
        FaultCode::Oversized,
        "4294967295"
    );
    expect_fault(decode_image(with(png, 16, {0, 0, 0, 0}), {}), FaultCode::BadFormat, "0 x 11");
}

TEST(ImageFaults, AChecksumThatIsWrongIsDamage) {
    const auto png = golden("media/rgb8.png");
    const auto data = find(png, "IDAT");
    expect_fault(decode_image(with(png, data + 40, {0x55, 0xaa}), {}), FaultCode::Corrupt, "PNG");
}

TEST(ImageFaults, OtherKindsOfJpegAreNamed) {
    const auto jpeg = golden("media/full.jpg");
    const auto frame = find(jpeg, "\xff\xc0");
    expect_fault(
        decode_image(with(jpeg, frame + 1, {0xc3}), {}), FaultCode::Unsupported, "lossless"
    );
    expect_fault(decode_image(with(jpeg, frame + 4, {12}), {}), FaultCode::Unsupported, "12 bits");
    expect_fault(
        decode_image(with(jpeg, frame + 9, {2}), {}), FaultCode::Unsupported, "2 channels"
    );
}

TEST(ImageFaults, FlippedBitsNeverDoHarm) {
    Rng rng(5);
    std::size_t refused = 0;
    for (const auto* name :
         {"subsampled.jpg", "progressive.jpg", "cmyk.jpg", "palette4_clear.png"}) {
        const auto bytes = golden(std::string("media/") + name);
        for (int round = 0; round < 300; ++round) {
            auto damaged = bytes;
            for (int flips = 0; flips < 3; ++flips) {
                auto& victim = damaged[static_cast<std::size_t>(rng.below(damaged.size()))];
                victim ^= static_cast<std::byte>(1U << rng.below(8));
            }
            const auto image = decode_image(damaged, {.channels = 3});
            refused += image.has_value() ? 0U : 1U;
        }
    }
    EXPECT_GT(refused, 400U);
}

}  // namespace
}  // namespace starling::data
