// Goal: a detector learns where things are and of which class they are, and an evaluation's loss is
// the one that it is trained by. Method: made-up pictures with a bright square or a bright bar.

#include <cmath>
#include <gtest/gtest.h>

#include "compute/metrics/box_tally.hpp"
#include "compute/metrics/detections.hpp"
#include "tests/unit/compute/support/engine_net.hpp"

namespace starling::compute {
namespace {

constexpr std::int64_t kSide = 32;
constexpr std::int64_t kRows = 3;

Task pictures() {
    Task task{{1, kSide, kSide}, 2, 0, LabelKind::Boxes};
    task.boxes = kRows;
    return task;
}

struct Made {
    std::vector<float> values;
    std::vector<float> targets;

    [[nodiscard]] Batch batch() const { return {values, {}, targets}; }
};

/// Pictures with noise; a third have nothing in them, the others a square (class 0) or a bar (1).
Made drawn(std::size_t count, std::uint64_t seed) {
    Rng rng(seed);
    Made made;
    for (std::size_t n = 0; n < count; ++n) {
        std::vector<float> picture;
        for (std::int64_t i = 0; i < kSide * kSide; ++i) {
            picture.push_back(static_cast<float>(0.2 * rng.normal()));
        }
        const auto kind = rng.below(3);
        const auto width = static_cast<std::int64_t>(8 + rng.below(5));
        const auto height = kind == 0 ? width : width / 3;
        const auto left = static_cast<std::int64_t>(rng.below(kSide - 12));
        const auto top = static_cast<std::int64_t>(rng.below(kSide - 12));
        for (std::int64_t i = 0; i < height * width && kind < 2; ++i) {
            const auto at = (top + i / width) * kSide + left + i % width;
            picture[static_cast<std::size_t>(at)] += 2.0F;
        }
        made.values.insert(made.values.end(), picture.begin(), picture.end());
        const auto share = [](std::int64_t doubled) {
            return static_cast<float>(doubled) / (2.0F * kSide);
        };
        std::vector<float> rows{-1, 0, 0, 0, 0, -1, 0, 0, 0, 0, -1, 0, 0, 0, 0};
        if (kind < 2) {
            rows[5] = static_cast<float>(kind);
            rows[6] = share(2 * left + width);
            rows[7] = share(2 * top + height);
            rows[8] = share(2 * width);
            rows[9] = share(2 * height);
        }
        made.targets.insert(made.targets.end(), rows.begin(), rows.end());
    }
    return made;
}

struct Net : EngineNet {
    Net() : EngineNet(pictures(), "detector?width=8", {16, 40}, "adamw?lr=0.005&weight_decay=0") {}
};

double map50_of(const Engine& engine, const Made& made) {
    constexpr ScoreGrid kGrid{kSide / 4, kSide / 4};
    const auto each = 6 * kGrid.cells();
    BoxTally tally(2);
    for (std::size_t i = 0; i < engine.answers().size() / each; ++i) {
        const auto found = detect(engine.answers().subspan(i * each, each), 2, kGrid);
        EXPECT_TRUE(found.has_value());
        const auto rows = std::span(made.targets).subspan(i * kRows * 5, kRows * 5);
        EXPECT_TRUE(tally.add(*found, true_boxes(rows)).has_value());
    }
    return tally.map50().value_or(0.0);
}

TEST(Detector, LearnsToFindAndToName) {
    Net net;
    const auto test = drawn(40, 99);
    const auto before = net.engine->evaluate(test.batch());
    ASSERT_TRUE(before.has_value()) << before.error().message;
    EXPECT_FALSE(before->has_accuracy);
    EXPECT_LT(map50_of(*net.engine, test), 0.3);
    for (std::uint64_t step = 0; step < 150; ++step) {
        const auto made = net.engine->step(drawn(16, step).batch(), 0.005);
        ASSERT_TRUE(made.has_value()) << made.error().message;
        ASSERT_FALSE(made->unsound);
    }
    const auto after = net.engine->evaluate(test.batch());
    EXPECT_LT(after->loss(), 0.3 * before->loss());
    EXPECT_GT(map50_of(*net.engine, test), 0.8);
}

TEST(Detector, TheLossOfAnEvaluationAddsUpToThatOfAllBoxes) {
    Net net;
    const auto made = drawn(40, 5);
    const auto whole = *net.engine->evaluate(made.batch());
    EvalResult parts;
    const auto pixels = static_cast<std::size_t>(kSide * kSide);
    std::size_t boxes = 0;
    for (const std::size_t begin : {0U, 15U, 30U}) {
        const auto count = std::min<std::size_t>(15, 40 - begin);
        const Batch batch{
            std::span(made.values).subspan(begin * pixels, count * pixels),
            {},
            std::span(made.targets).subspan(begin * kRows * 5, count * kRows * 5)};
        parts += *net.engine->evaluate(batch);
        boxes += true_boxes(batch.targets).size();
    }
    EXPECT_EQ(whole.samples, boxes);
    EXPECT_EQ(parts.samples, boxes);
    EXPECT_NEAR(parts.loss(), whole.loss(), 1e-4 * whole.loss());
    // Pictures without boxes are an evaluation, too.
    const std::vector<float> black(pixels, 0.0F);
    const std::vector<float> none{-1, 0, 0, 0, 0, -1, 0, 0, 0, 0, -1, 0, 0, 0, 0};
    const auto empty = net.engine->evaluate({black, {}, none});
    ASSERT_TRUE(empty.has_value());
    EXPECT_EQ(empty->samples, 1U);
    EXPECT_GT(empty->loss(), 0.0);
}

}  // namespace
}  // namespace starling::compute
