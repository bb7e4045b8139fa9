// Goal: a detector's scores become the boxes that they stand for, each object once. Method: a naive
// twin that looks at all pairs, over random scores; cases worked out by hand.

#include "compute/metrics/detections.hpp"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <limits>

#include "base/rng.hpp"

namespace starling::compute {
namespace {

TEST(Detections, AGridHasSquareCells) {
    EXPECT_EQ(grid_of(4800, 240, 320), (ScoreGrid{60, 80}));
    EXPECT_EQ(grid_of(300, 240, 320), (ScoreGrid{15, 20}));
    EXPECT_EQ(grid_of(240 * 320, 240, 320), (ScoreGrid{240, 320}));
    EXPECT_EQ(grid_of(299, 240, 320), std::nullopt);
    EXPECT_EQ(grid_of(0, 240, 320), std::nullopt);
}

/// Scores of 4 x 4 cells of two classes that see nothing.
struct Scores {
    static constexpr ScoreGrid kGrid{4, 4};
    std::vector<float> values = std::vector<float>(6 * 16, 0.0F);

    Scores() { std::fill_n(values.begin(), 32, -9.0F); }

    void put(
        std::size_t one_class, std::size_t cell, float heat, const std::array<float, 4>& numbers
    ) {
        values[one_class * 16 + cell] = heat;
        for (std::size_t k = 0; k < 4; ++k) values[(2 + k) * 16 + cell] = numbers[k];
    }

    /// Those of a probability above a tenth.
    [[nodiscard]] std::vector<Detection> found() const {
        auto all = *detect(values, 2, kGrid);
        std::erase_if(all, [](const Detection& one) { return one.score < 0.1F; });
        return all;
    }
};

TEST(Detections, ABoxLiesAroundItsCentreAndEndsAtTheEdge) {
    Scores scores;
    scores.put(1, 6, 0.0F, {1.0F, 2.0F, 0.5F, 0.25F});
    scores.put(0, 12, 2.0F, {4.0F, 1.0F, 0.0F, 0.5F});
    const auto found = scores.found();
    ASSERT_EQ(found.size(), 2U);
    EXPECT_EQ(found[0].one_class, 0);
    EXPECT_FLOAT_EQ(found[0].score, 1.0F / (1.0F + std::exp(-2.0F)));
    EXPECT_FLOAT_EQ(found[0].box.left, 0.0F);
    EXPECT_FLOAT_EQ(found[0].box.right, 0.5F);
    EXPECT_FLOAT_EQ(found[0].box.top, 0.75F);
    EXPECT_FLOAT_EQ(found[0].box.bottom, 1.0F);
    EXPECT_EQ(found[1].one_class, 1);
    EXPECT_FLOAT_EQ(found[1].score, 0.5F);
    EXPECT_FLOAT_EQ(found[1].box.left, 0.5F);
    EXPECT_FLOAT_EQ(found[1].box.right, 0.75F);
    EXPECT_FLOAT_EQ(found[1].box.top, 0.0625F);
    EXPECT_FLOAT_EQ(found[1].box.bottom, 0.5625F);
}

TEST(Detections, NeighboursOfAPeakAndTwinsOfABoxAreNoDetections) {
    Scores scores;
    scores.put(0, 5, 3.0F, {3.0F, 3.0F, 0.0F, 0.0F});
    scores.put(0, 6, 2.0F, {3.0F, 3.0F, 0.0F, 0.0F});     // beside the peak
    scores.put(0, 7, 1.0F, {3.0F, 3.0F, -1.5F, 0.0F});    // a peak, if it were not for the last one
    scores.put(0, 15, 1.0F, {3.0F, 3.0F, -2.0F, -2.0F});  // another peak around the same box
    EXPECT_EQ(scores.found().size(), 1U);
    scores.put(1, 15, 1.0F, {3.0F, 3.0F, -2.0F, -2.0F});
    EXPECT_EQ(scores.found().size(), 2U) << "another class is another object";
}

TEST(Detections, LengthsBelowZeroAndWildOffsetsAreBoxesWithoutArea) {
    Scores scores;
    scores.put(0, 5, 3.0F, {-3.0F, 1.0F, 3e38F, -3e38F});
    const auto found = scores.found();
    ASSERT_EQ(found.size(), 1U);
    EXPECT_TRUE(check_boxes(found, {}, 2).has_value());
    EXPECT_EQ(found[0].box.left, found[0].box.right);
}

TEST(Detections, AScoreThatIsNoNumberIsRefused) {
    Scores scores;
    scores.values[40] = std::numeric_limits<float>::infinity();
    const auto found = detect(scores.values, 2, Scores::kGrid);
    ASSERT_TRUE(found.has_error());
    EXPECT_NE(found.error().message.find("score 40"), std::string::npos);
}

/// Says what detect() says, by looking at all cells and all pairs.
std::vector<Detection> naive(const std::vector<float>& scores, int classes, int height, int width) {
    const auto at = [&](int map, int y, int x) {
        return scores[static_cast<std::size_t>((map * height + y) * width + x)];
    };
    std::vector<Detection> peaks;
    for (int c = 0; c < classes; ++c) {
        for (int y = 0; y < height; ++y) {
            for (int x = 0; x < width; ++x) {
                bool highest = true;
                for (int v = 0; v < height; ++v) {
                    for (int u = 0; u < width; ++u) {
                        const bool near = std::abs(u - x) <= 1 && std::abs(v - y) <= 1;
                        highest = highest && !(near && at(c, v, u) > at(c, y, x));
                    }
                }
                if (!highest) continue;
                const float middle_x = static_cast<float>(x) + at(classes + 2, y, x);
                const float middle_y = static_cast<float>(y) + at(classes + 3, y, x);
                const float half_x = std::max(at(classes, y, x), 0.0F) / 2.0F;
                const float half_y = std::max(at(classes + 1, y, x), 0.0F) / 2.0F;
                const auto share = [](float place, int cells) {
                    return std::clamp(place / static_cast<float>(cells), 0.0F, 1.0F);
                };
                const Box box{
                    share(middle_x - half_x, width),
                    share(middle_y - half_y, height),
                    share(middle_x + half_x, width),
                    share(middle_y + half_y, height)};
                peaks.push_back({c, 1.0F / (1.0F + std::exp(-at(c, y, x))), box});
            }
        }
    }
    std::stable_sort(peaks.begin(), peaks.end(), [](const Detection& a, const Detection& b) {
        return a.score > b.score;
    });
    if (peaks.size() > 100) peaks.resize(100);
    std::vector<bool> dead(peaks.size(), false);
    std::vector<Detection> kept;
    for (std::size_t i = 0; i < peaks.size(); ++i) {
        if (dead[i]) continue;
        kept.push_back(peaks[i]);
        for (std::size_t k = i + 1; k < peaks.size(); ++k) {
            const bool same = peaks[k].one_class == peaks[i].one_class;
            const double both = overlap(peaks[k].box, peaks[i].box, Regard::Counted);
            dead[k] = dead[k] || (same && both > 0.5);
        }
    }
    return kept;
}

TEST(Detections, AreThoseOfANaiveTwin) {
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Rng rng(seed);
        const auto classes = 1 + rng.below(3);
        const ScoreGrid grid{1 + rng.below(24), 1 + rng.below(24)};
        std::vector<float> scores((classes + 4) * grid.cells());
        for (std::size_t i = 0; i < scores.size(); ++i) {
            const bool heat = i < classes * grid.cells();
            scores[i] = static_cast<float>(heat ? 4.0 * rng.uniform() - 3.0 : 9.0 * rng.uniform());
        }
        const auto found = detect(scores, classes, grid);
        ASSERT_TRUE(found.has_value());
        EXPECT_TRUE(check_boxes(*found, {}, classes).has_value());
        const auto wanted = naive(
            scores,
            static_cast<int>(classes),
            static_cast<int>(grid.height),
            static_cast<int>(grid.width)
        );
        ASSERT_EQ(found->size(), wanted.size());
        for (std::size_t i = 0; i < wanted.size(); ++i) {
            EXPECT_EQ((*found)[i].one_class, wanted[i].one_class) << i;
            EXPECT_NEAR((*found)[i].score, wanted[i].score, 1e-6) << i;
            EXPECT_NEAR((*found)[i].box.left, wanted[i].box.left, 1e-6) << i;
            EXPECT_NEAR((*found)[i].box.bottom, wanted[i].box.bottom, 1e-6) << i;
        }
    }
}

TEST(Detections, OfTargetsTheRowsWithAClassAreBoxes) {
    const std::vector<float> targets{
        1, 0.5F, 0.5F, 0.2F, 0.4F, -1, 0, 0, 0, 0, 0, 0.1F, 0.1F, 0.2F, 0.2F};
    const auto boxes = true_boxes(targets);
    ASSERT_EQ(boxes.size(), 2U);
    EXPECT_EQ(boxes[0].one_class, 1);
    EXPECT_FLOAT_EQ(boxes[0].box.left, 0.4F);
    EXPECT_FLOAT_EQ(boxes[0].box.bottom, 0.7F);
    EXPECT_EQ(boxes[0].regard, Regard::Counted);
    EXPECT_EQ(boxes[1].one_class, 0);
    EXPECT_FLOAT_EQ(boxes[1].box.right, 0.2F);
}

}  // namespace
}  // namespace starling::compute
