// Goal: boxes go where their pixels go: through every way to fit a picture and every change of a
// training picture, and never in evaluations. Method: a picture that is black but for one white box,
// whose edges are looked for in what the model would be fed; tables for what is cut off.

#include "data/box_targets.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <optional>
#include <zlib.h>

#include "data/batcher.hpp"
#include "tests/unit/data/support/sources.hpp"

namespace starling::data {
namespace {

using testing::open;

constexpr std::size_t kRow = kBoxNumbers;

std::vector<float> rows_of(
    const std::vector<LabelledBox>& boxes, Size size, const PointMap& map, std::size_t rows = 3
) {
    std::vector<float> out(rows * kRow, 9.0F);
    put_boxes(boxes, size, map, out);
    return out;
}

TEST(PutBoxes, CentresAndLengthsAreSharesAndOtherRowsAreEmpty) {
    EXPECT_EQ(
        rows_of({{2, 10, 20, 30, 60}}, {80, 40}, {}, 2),
        (std::vector<float>{2, 0.5F, 0.5F, 0.5F, 0.5F, -1, 0, 0, 0, 0})
    );
}

TEST(PutBoxes, WhatReachesOutIsCutOffAndScrapsAreLeftOut) {
    PointMap map;
    map.show({0, 50, 100, 50}, {100, 100});  // the right half
    const std::vector<LabelledBox> boxes{
        {0, 0, 0, 50, 100},    // ends where the half begins
        {1, 40, 0, 60, 100},   // half of it is left
        {2, 0, 0, 54.9F, 10},  // less than a tenth is left
        {3, 90, 90, 100, 100}};
    const auto rows = rows_of(boxes, {100, 100}, map, 4);
    const std::vector<float> wanted{1, 0.1F, 0.5F, 0.2F, 1, 3, 0.9F, 0.95F, 0.2F, 0.1F};
    for (std::size_t i = 0; i < wanted.size(); ++i) EXPECT_FLOAT_EQ(rows[i], wanted[i]) << i;
    EXPECT_EQ(rows[10], kNoBox);
    EXPECT_EQ(rows[15], kNoBox);
}

TEST(PointMap, StepsFollowEachOther) {
    PointMap map;
    map.mirror();
    map.show({-10, 20, 40, 60}, {100, 100});
    // 0.3 of the width is 0.7 after the mirror, which is pixel 70, 50 of 60 into the window.
    EXPECT_DOUBLE_EQ(map.x()(0.3), 50.0 / 60.0);
    EXPECT_DOUBLE_EQ(map.y()(0.1), 20.0 / 40.0);
    map.mirror();
    EXPECT_DOUBLE_EQ(map.x()(0.3), 10.0 / 60.0);
}

TEST(PointMap, WhatWasCutOffDoesNotComeBack) {
    PointMap map;
    map.show({0, 40, 100, 60}, {100, 100});
    map.mirror();
    map.show({0, -30, 60, 60}, {60, 60});  // half of what is shown is black now
    const auto rows = rows_of({{0, 20, 0, 100, 50}, {1, 0, 0, 20, 50}}, {100, 100}, map, 2);
    const std::vector<float> wanted{0, 0.75F, 0.25F, 0.5F, 0.5F};
    for (std::size_t i = 0; i < wanted.size(); ++i) EXPECT_FLOAT_EQ(rows[i], wanted[i]) << i;
    EXPECT_EQ(rows[5], kNoBox);
}

std::string chunk(const std::string& kind, const std::string& bytes) {
    const auto number = [](std::size_t value) {
        std::string text;
        for (int shift = 24; shift >= 0; shift -= 8) {
            text += static_cast<char>(static_cast<unsigned char>(value >> shift));
        }
        return text;
    };
    const auto body = kind + bytes;
    const auto crc =
        crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()));
    return number(bytes.size()) + body + number(crc);
}

/// A grey PNG of height x width that is black but for the box, which is white.
std::string picture_of(std::uint32_t height, std::uint32_t width, const Box& box) {
    std::string rows;
    for (std::uint32_t y = 0; y < height; ++y) {
        rows += '\0';
        for (std::uint32_t x = 0; x < width; ++x) {
            const bool inside = y >= box.top && y < box.top + box.height && x >= box.left &&
                                x < box.left + box.width;
            rows += inside ? '\xff' : '\0';
        }
    }
    std::string packed(compressBound(static_cast<uLong>(rows.size())), '\0');
    auto length = static_cast<uLongf>(packed.size());
    EXPECT_EQ(
        compress(
            reinterpret_cast<Bytef*>(packed.data()),
            &length,
            reinterpret_cast<const Bytef*>(rows.data()),
            static_cast<uLong>(rows.size())
        ),
        Z_OK
    );
    packed.resize(length);
    std::string header(8, '\0');
    header[2] = static_cast<char>(width >> 8U);
    header[3] = static_cast<char>(width & 0xffU);
    header[6] = static_cast<char>(height >> 8U);
    header[7] = static_cast<char>(height & 0xffU);
    header += std::string("\x08\0\0\0\0", 5);
    return "\x89PNG\r\n\x1a\n" + chunk("IHDR", header) + chunk("IDAT", packed) + chunk("IEND", "");
}

/// Edges in pixels of what a model is fed.
struct Edges {
    double left = 0.0;
    double top = 0.0;
    double right = 0.0;
    double bottom = 0.0;
};

/// Looks for what is more white than black.
std::optional<Edges> white_in(std::span<const float> values, Size size, float grey) {
    std::optional<Edges> edges;
    for (std::uint32_t y = 0; y < size.height; ++y) {
        for (std::uint32_t x = 0; x < size.width; ++x) {
            if (values[y * size.width + x] <= grey) continue;
            if (!edges) edges = Edges{1e9, 1e9, 0.0, 0.0};
            edges->left = std::min<double>(edges->left, x);
            edges->top = std::min<double>(edges->top, y);
            edges->right = std::max<double>(edges->right, x + 1);
            edges->bottom = std::max<double>(edges->bottom, y + 1);
        }
    }
    return edges;
}

std::optional<Edges> told_by(std::span<const float> row, Size size) {
    if (row[0] == kNoBox) return std::nullopt;
    const auto number = [row](std::size_t k) { return static_cast<double>(row[k]); };
    const double width = size.width;
    const double height = size.height;
    return Edges{
        (number(1) - number(3) / 2) * width,
        (number(2) - number(4) / 2) * height,
        (number(1) + number(3) / 2) * width,
        (number(2) + number(4) / 2) * height};
}

class BoxesMove : public testing::SourceFiles {
protected:
    static constexpr Box kBox{30, 24, 28, 40};

    BoxesMove() {
        put("v/JPEGImages/a.png", picture_of(90, 120, kBox));
        // VOC counts pixels from 1, and the last one belongs to the box.
        put("v/Annotations/a.xml",
            "<annotation><object><name>box</name><bndbox><xmin>25</xmin><ymin>31</ymin><xmax>64</"
            "xmax>"
            "<ymax>58</ymax></bndbox></object></annotation>");
    }

    /// Prepares the picture with the draws 1 to `draws`, or once without any, and returns how often
    /// the box was seen.
    int compare(const std::string& options, Size size, int draws) {
        const auto source = open("voc:" + path("v") + "?test=0&" + options);
        const testing::Prepared prepared(*source);
        const auto& manifest = prepared.manifest;
        std::vector<Bytes> shards;
        const auto keep = [&](CutShard cut) {
            shards.push_back(std::move(cut.bytes));
            return Result<void>();
        };
        EXPECT_TRUE(cut_source(*source, {}, std::nullopt, testing::test_hash, keep).has_value());
        const auto view = open_shard(shards.at(0), manifest.shards.at(0), manifest);
        Preparation preparation(manifest);
        EXPECT_EQ(preparation.targets(), kBoxesMax * kRow);
        std::vector<float> values(preparation.values());
        std::vector<float> targets(preparation.targets());
        const auto scale = std::get<ImageRecipe>(manifest.recipe).scales.at(0);
        int seen = 0;
        for (int i = 0; i < std::max(draws, 1); ++i) {
            const auto draw = draws > 0 ? std::optional<std::uint64_t>(i * 7919 + 1) : std::nullopt;
            const auto read = preparation.read(*view, 0, 0, draw, {values, {}, targets});
            EXPECT_TRUE(read.has_value());
            const auto white = white_in(values, size, (0.5F - scale.mean) / scale.stddev);
            const auto told = told_by(targets, size);
            if (!told) continue;
            ++seen;
            EXPECT_TRUE(white.has_value()) << options << " draw " << i;
            if (!white) continue;
            EXPECT_NEAR(told->left, white->left, 1.0) << options << " draw " << i;
            EXPECT_NEAR(told->top, white->top, 1.0) << options << " draw " << i;
            EXPECT_NEAR(told->right, white->right, 1.0) << options << " draw " << i;
            EXPECT_NEAR(told->bottom, white->bottom, 1.0) << options << " draw " << i;
            EXPECT_EQ(targets[kRow], kNoBox);
        }
        return seen;
    }
};

TEST_F(BoxesMove, WithEachWayToFitThePicture) {
    for (const std::string fit : {"stretch", "crop", "pad"}) {
        EXPECT_EQ(compare("size=60x60&fit=" + fit, {60, 60}, 0), 1);
        EXPECT_EQ(compare("size=45x90&fit=" + fit, {45, 90}, 0), 1);
        EXPECT_EQ(compare("size=200x31&fit=" + fit, {200, 31}, 0), 1);
    }
}

TEST_F(BoxesMove, WithEachChangeOfATrainingPicture) {
    EXPECT_EQ(compare("size=72x96&flip=1", {72, 96}, 20), 20);
    EXPECT_GT(compare("size=72x96&pad=40", {72, 96}, 60), 30);
    EXPECT_GT(compare("size=72x96&zoom=1", {72, 96}, 60), 40);
    EXPECT_GT(compare("size=64&zoom=1&flip=1&pad=9&fit=crop", {64, 64}, 100), 60);
}

TEST_F(BoxesMove, NeverInEvaluations) {
    const auto source = open("voc:" + path("v") + "?test=0&size=72x96&zoom=1&flip=1&pad=9");
    const testing::Prepared prepared(*source);
    const auto& row = prepared.targets.at(0);
    EXPECT_EQ(row[0], 0.0F);
    EXPECT_NEAR(row[1], 44.0 / 120.0, 1e-6);
    EXPECT_NEAR(row[2], 44.0 / 90.0, 1e-6);
    EXPECT_NEAR(row[3], 40.0 / 120.0, 1e-6);
    EXPECT_NEAR(row[4], 28.0 / 90.0, 1e-6);
}

}  // namespace
}  // namespace starling::data
