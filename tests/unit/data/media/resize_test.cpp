// Goal: sizes and crops are those of Pillow, within one level.
// Method: pictures that Pillow resized (tests/golden/images.py), on every set of vector instructions;
// pictures whose result is plain to see; and a naive twin of the filter.

#include "data/media/resize.hpp"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "base/simd.hpp"
#include "tests/unit/data/support/golden.hpp"

namespace starling::data {
namespace {

using testing::golden_pnm;

int difference(const Image& a, const Image& b) {
    if (a.channels != b.channels || a.height != b.height || a.width != b.width) return 256;
    int most = 0;
    for (std::size_t i = 0; i < a.values.size(); ++i) {
        most = std::max(most, std::abs(int{a.values[i]} - int{b.values[i]}));
    }
    return most;
}

Image noise(std::uint32_t channels, std::uint32_t height, std::uint32_t width) {
    Rng rng(height * 1000 + width);
    Image image{channels, height, width, {}};
    image.values.resize(std::size_t{channels} * height * width);
    for (auto& value : image.values) value = static_cast<std::uint8_t>(rng.below(256));
    return image;
}

/// The filter as its definition says, both axes at once and in doubles.
Image naive(const Image& image, Size size) {
    Image result{image.channels, size.height, size.width, {}};
    const double down = static_cast<double>(image.height) / size.height;
    const double across = static_cast<double>(image.width) / size.width;
    const auto weight = [](double pixel, double result_pixel, double scale) {
        const double away = std::abs(pixel + 0.5 - (result_pixel + 0.5) * scale);
        return std::max(1.0 - away / std::max(scale, 1.0), 0.0);
    };
    for (std::uint32_t i = 0; i < size.height * size.width * image.channels; ++i) {
        const auto c = i % image.channels;
        const auto x = i / image.channels % size.width;
        const auto y = i / image.channels / size.width;
        double sum = 0;
        double weights = 0;
        for (std::uint32_t row = 0; row < image.height; ++row) {
            for (std::uint32_t column = 0; column < image.width; ++column) {
                const double w = weight(row, y, down) * weight(column, x, across);
                sum += w * image.values[(row * image.width + column) * image.channels + c];
                weights += w;
            }
        }
        result.values.push_back(static_cast<std::uint8_t>(sum / weights + 0.5));
    }
    return result;
}

class Resize : public ::testing::TestWithParam<Isa> {
protected:
    void SetUp() override {
        if (GetParam() > best_isa()) GTEST_SKIP() << "this processor has no such instructions";
        limit_isa(GetParam());
    }

    void TearDown() override { limit_isa(best_isa()); }
};

TEST_P(Resize, IsWithinOneLevelOfPillow) {
    const auto large = golden_pnm("media/large.pnm");
    const auto small = golden_pnm("media/turn1.pnm");
    const auto grey = with_channels(large, 1);
    EXPECT_LE(difference(resize(large, {20, 31}), golden_pnm("media/resized_down.pnm")), 1);
    EXPECT_LE(difference(resize(small, {20, 31}), golden_pnm("media/resized_up.pnm")), 1);
    EXPECT_LE(difference(resize(large, {60, 9}), golden_pnm("media/resized_tall.pnm")), 1);
    EXPECT_LE(difference(resize(large, {7, 100}), golden_pnm("media/resized_wide.pnm")), 1);
    EXPECT_LE(difference(resize(grey, {33, 40}), golden_pnm("media/resized_grey.pnm")), 1);
    EXPECT_LE(difference(resize(grey, {1, 1}), golden_pnm("media/resized_grey_pixel.pnm")), 1);
    EXPECT_LE(
        difference(
            resize(large, Region{2.5, 3.25, 37.5, 47.5}, {12, 16}),
            golden_pnm("media/resized_region.pnm")
        ),
        1
    );
    EXPECT_LE(
        difference(
            resized_crop(large, {10, 20, 30, 41}, {12, 16}), golden_pnm("media/resized_box.pnm")
        ),
        1
    );
}

TEST_P(Resize, IsItsDefinitionAtManySizes) {
    for (const std::uint32_t channels : {1U, 3U}) {
        for (const Size from : {Size{1, 1}, Size{2, 9}, Size{13, 7}, Size{31, 40}}) {
            for (const Size to : {Size{1, 1}, Size{5, 2}, Size{13, 7}, Size{29, 43}}) {
                const auto image = noise(channels, from.height, from.width);
                EXPECT_LE(difference(resize(image, to), naive(image, to)), 1)
                    << channels << " channels, " << from.height << " x " << from.width << " to "
                    << to.height << " x " << to.width;
            }
        }
    }
}

TEST_P(Resize, ToItsOwnSizeChangesNothing) {
    const auto image = noise(3, 19, 23);
    EXPECT_EQ(resize(image, {19, 23}).values, image.values);
}

INSTANTIATE_TEST_SUITE_P(
    Instructions, Resize, ::testing::Values(Isa::Baseline, Isa::Avx2, Isa::Avx512)
);

TEST(Crop, CopiesAWindowAndFillsWithBlackOutside) {
    const Image image{1, 2, 3, {1, 2, 3, 4, 5, 6}};
    EXPECT_EQ(crop(image, {0, 1, 2, 2}).values, (std::vector<std::uint8_t>{2, 3, 5, 6}));
    EXPECT_EQ(
        crop(image, {-1, -1, 3, 3}).values, (std::vector<std::uint8_t>{0, 0, 0, 0, 1, 2, 0, 4, 5})
    );
    EXPECT_EQ(crop(image, {1, 2, 2, 2}).values, (std::vector<std::uint8_t>{6, 0, 0, 0}));
    EXPECT_EQ(crop(image, {7, -9, 1, 2}).values, (std::vector<std::uint8_t>{0, 0}));
}

TEST(Crop, InTheCentreIsInTheMiddle) {
    const Image image{1, 3, 4, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}};
    EXPECT_EQ(centre_crop(image, {1, 2}).values, (std::vector<std::uint8_t>{5, 6}));
    EXPECT_EQ(
        centre_crop(Image{1, 1, 2, {7, 8}}, {3, 4}).values,
        (std::vector<std::uint8_t>{0, 0, 0, 0, 0, 7, 8, 0, 0, 0, 0, 0})
    );
}

TEST(Fit, CropKeepsTheMiddleOfTheLongSide) {
    // Two squares of 4 x 4 around a third of another brightness.
    Image image{1, 4, 12, {}};
    for (std::uint32_t i = 0; i < 48; ++i) {
        const auto x = i % 12;
        image.values.push_back(x >= 4 && x < 8 ? 200 : 10);
    }
    const auto result = fit(image, {2, 2}, Fit::Crop);
    // The filter reaches over the edge of the region, as Pillow's does: some of 10 is mixed in.
    for (const auto value : result.values) EXPECT_NEAR(value, 200, 25);
    EXPECT_EQ(result.values[0], result.values[1]);
    EXPECT_EQ(fit(image, {4, 4}, Fit::Crop).values, centre_crop(image, {4, 4}).values);
}

TEST(Fit, CropIsPillowsShortSideThenCentreWhereSizesDivide) {
    const auto large = golden_pnm("media/large.pnm");  // 70 wide, 48 high
    const auto whole = resize(large, {24, 35});
    EXPECT_LE(difference(fit(large, {24, 23}, Fit::Crop), centre_crop(whole, {24, 23})), 1);
}

TEST(Fit, PadShowsTheWholePictureBetweenBlackBars) {
    const Image image{1, 2, 4, {90, 90, 90, 90, 90, 90, 90, 90}};
    EXPECT_EQ(
        fit(image, {4, 4}, Fit::Pad).values,
        (std::vector<std::uint8_t>{0, 0, 0, 0, 90, 90, 90, 90, 90, 90, 90, 90, 0, 0, 0, 0})
    );
    const auto thin = fit(Image{1, 1, 1000, std::vector<std::uint8_t>(1000, 50)}, {8, 8}, Fit::Pad);
    EXPECT_EQ(std::count(thin.values.begin(), thin.values.end(), 50), 8);
}

TEST(Fit, StretchUsesEveryPixel) {
    const auto image = noise(3, 9, 17);
    EXPECT_EQ(fit(image, {5, 5}, Fit::Stretch).values, resize(image, {5, 5}).values);
}

}  // namespace
}  // namespace starling::data
