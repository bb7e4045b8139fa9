// Goal: the mean average precision of boxes is right, merges in any order, and no bytes harm its
// reader.
// Method: a naive twin that keeps every image and walks one sorted list of all detections for each
// class and threshold; scenes by hand for difficult boxes and crowds; a table of lies.

#include "compute/metrics/box_tally.hpp"

#include <algorithm>
#include <limits>

#include "tests/unit/compute/metrics/tally_fixture.hpp"

namespace starling::compute {
namespace {

struct Image {
    std::vector<Detection> detections;
    std::vector<TrueBox> truths;
};

float draw(Rng& rng, double low, double high) {
    return static_cast<float>(low + rng.uniform() * (high - low));
}

/// Boxes that are found with some shift, twice, as another class, or not at all; and false ones.
Image random_image(Rng& rng, std::size_t classes, bool equal_scores) {
    Image image;
    const auto score = [&](double low, double high) {
        const auto value = draw(rng, low, high);
        return equal_scores ? std::round(value * 10.0F) / 10.0F : value;
    };
    const auto any_class = [&] { return static_cast<std::int32_t>(rng.below(classes)); };
    for (auto boxes = rng.below(6); boxes > 0; --boxes) {
        const auto left = draw(rng, 0.0, 60.0);
        const auto top = draw(rng, 0.0, 60.0);
        const Box box{left, top, left + draw(rng, 5.0, 40.0), top + draw(rng, 5.0, 40.0)};
        const auto regard =
            rng.chance(0.2) ? static_cast<Regard>(1 + rng.below(2)) : Regard::Counted;
        image.truths.push_back({any_class(), box, regard});
        for (auto found = rng.below(4); found > 0; --found) {
            const auto shift = draw(rng, -4.0, 4.0);
            const Box moved{box.left + shift, box.top, box.right, box.bottom + std::abs(shift)};
            const auto one_class = rng.chance(0.9) ? image.truths.back().one_class : any_class();
            image.detections.push_back({one_class, score(0.2, 1.0), moved});
        }
    }
    for (auto boxes = rng.below(3); boxes > 0; --boxes) {
        image.detections.push_back({any_class(), score(0.0, 0.9), {1.0F, 2.0F, 30.0F, 30.0F}});
    }
    return image;
}

double twin_overlap(const Box& a, const Box& b, bool crowd) {
    const double width =
        std::min(double{a.right}, double{b.right}) - std::max(double{a.left}, double{b.left});
    const double height =
        std::min(double{a.bottom}, double{b.bottom}) - std::max(double{a.top}, double{b.top});
    if (width <= 0.0 || height <= 0.0) return 0.0;
    const double first = (double{a.right} - double{a.left}) * (double{a.bottom} - double{a.top});
    const double second = (double{b.right} - double{b.left}) * (double{b.bottom} - double{b.top});
    return width * height / (crowd ? first : first + second - width * height);
}

/// A detection and where it was made.
struct Placed {
    Detection detection;
    std::size_t image = 0;
};

std::vector<Placed> all_of(const std::vector<Image>& images, std::int32_t one_class) {
    std::vector<Placed> all;
    for (std::size_t i = 0; i < images.size(); ++i) {
        for (const auto& detection : images[i].detections) {
            if (detection.one_class == one_class) all.push_back({detection, i});
        }
    }
    std::stable_sort(all.begin(), all.end(), [](const Placed& left, const Placed& right) {
        return left.detection.score > right.detection.score;
    });
    return all;
}

/// 1 for a hit, 0 for a miss, -1 for what is ignored.
int twin_verdict(
    const Placed& placed, const Image& image, std::vector<char>& used, double threshold
) {
    double most = 0.0;
    int best = -1;
    bool ignored = false;
    for (std::size_t g = 0; g < image.truths.size(); ++g) {
        const auto& truth = image.truths[g];
        if (truth.one_class != placed.detection.one_class) continue;
        const auto share =
            twin_overlap(placed.detection.box, truth.box, truth.regard == Regard::Crowd);
        if (share < threshold) continue;
        if (truth.regard != Regard::Counted) ignored = true;
        if (truth.regard != Regard::Counted || used[g] != 0 || share < most) continue;
        most = share;
        best = static_cast<int>(g);
    }
    if (best < 0) return ignored ? -1 : 0;
    used[static_cast<std::size_t>(best)] = 1;
    return 1;
}

/// VOCap.m: precision made falling, and the sum over the steps of recall.
double twin_area(std::vector<double> recall, std::vector<double> precision) {
    recall.insert(recall.begin(), 0.0);
    precision.insert(precision.begin(), 0.0);
    for (auto i = precision.size() - 1; i > 0; --i) {
        precision[i - 1] = std::max(precision[i - 1], precision[i]);
    }
    double area = 0.0;
    for (std::size_t i = 1; i < recall.size(); ++i) {
        area += (recall[i] - recall[i - 1]) * precision[i];
    }
    return area;
}

std::optional<double> twin_precision(
    const std::vector<Image>& images, std::int32_t one_class, double threshold
) {
    double truths = 0.0;
    std::vector<std::vector<char>> used;
    for (const auto& image : images) {
        used.emplace_back(image.truths.size(), 0);
        for (const auto& truth : image.truths) {
            truths += truth.one_class == one_class && truth.regard == Regard::Counted ? 1.0 : 0.0;
        }
    }
    if (truths == 0.0) return std::nullopt;
    std::vector<double> recall;
    std::vector<double> precision;
    double hits = 0.0;
    double misses = 0.0;
    const auto all = all_of(images, one_class);
    for (std::size_t i = 0; i < all.size(); ++i) {
        const auto verdict =
            twin_verdict(all[i], images[all[i].image], used[all[i].image], threshold);
        hits += verdict == 1 ? 1.0 : 0.0;
        misses += verdict == 0 ? 1.0 : 0.0;
        // Equal scores enter together.
        if (i + 1 < all.size() && all[i + 1].detection.score == all[i].detection.score) continue;
        if (hits + misses == 0.0) continue;
        recall.push_back(hits / truths);
        precision.push_back(hits / (hits + misses));
    }
    return twin_area(recall, precision);
}

double twin_mean(const std::vector<Image>& images, std::size_t classes, std::size_t thresholds) {
    double sum = 0.0;
    double counted = 0.0;
    for (std::size_t c = 0; c < classes; ++c) {
        for (std::size_t t = 0; t < thresholds; ++t) {
            const auto area =
                twin_precision(images, static_cast<std::int32_t>(c), overlap_threshold(t));
            if (!area) continue;
            sum += *area;
            counted += 1.0;
        }
    }
    return sum / counted;
}

BoxTally tally_of(const std::vector<Image>& images, std::size_t classes) {
    BoxTally tally(classes);
    for (const auto& image : images) {
        EXPECT_TRUE(tally.add(image.detections, image.truths).has_value());
    }
    return tally;
}

std::vector<Image> random_images(
    Rng& rng, std::size_t count, std::size_t classes, bool equal_scores
) {
    std::vector<Image> images;
    for (std::size_t i = 0; i < count; ++i)
        images.push_back(random_image(rng, classes, equal_scores));
    return images;
}

TEST(BoxTally, AgreesWithItsTwin) {
    Rng rng(1);
    for (const std::size_t classes : {1U, 3U, 20U}) {
        for (const bool equal_scores : {false, true}) {
            const auto images = random_images(rng, 150, classes, equal_scores);
            const auto tally = tally_of(images, classes);
            EXPECT_NEAR(*tally.map50(), twin_mean(images, classes, 1), 1e-9);
            EXPECT_NEAR(*tally.map(), twin_mean(images, classes, kThresholds), 1e-9);
            EXPECT_GT(*tally.map50(), 0.2);
            EXPECT_LT(*tally.map(), *tally.map50());
            EXPECT_EQ(tally.count(), 150U);
        }
    }
}

TEST(BoxTally, ErrorOfManyScoresIsSmall) {
    Rng rng(2);
    for (const std::size_t classes : {1U, 80U}) {
        // All are of class 0, so that 80 classes leave it 819 bins.
        const auto images = random_images(rng, 6000, 1, false);
        const auto tally = tally_of(images, classes);
        EXPECT_NEAR(*tally.map50(), twin_mean(images, 1, 1), 2e-3);
        EXPECT_NEAR(*tally.map(), twin_mean(images, 1, kThresholds), 2e-3);
    }
}

constexpr Box kBox{0.0F, 0.0F, 10.0F, 10.0F};
constexpr Box kNear{0.0F, 0.0F, 10.0F, 9.0F};    // overlaps kBox by 0.9
constexpr Box kWithin{0.0F, 0.0F, 10.0F, 2.0F};  // by 0.2, and lies within
constexpr Box kFar{50.0F, 50.0F, 60.0F, 60.0F};

TEST(BoxTally, SecondDetectionOfABoxIsAMiss) {
    const auto tally = tally_of({{{{0, 0.9F, kBox}, {0, 0.8F, kNear}}, {{0, kBox}, {0, kFar}}}}, 1);
    EXPECT_DOUBLE_EQ(*tally.map50(), 0.5);
    const auto other = tally_of({{{{0, 0.9F, kFar}, {0, 0.8F, kNear}}, {{0, kBox}}}}, 1);
    EXPECT_DOUBLE_EQ(*other.map50(), 0.5);
    EXPECT_DOUBLE_EQ(*other.average_precision(0, 8), 0.5);  // an overlap of 0.9 is enough for 0.9
    EXPECT_DOUBLE_EQ(*other.average_precision(0, 9), 0.0);
}

TEST(BoxTally, IgnoredBoxesCountNeitherWay) {
    for (const auto regard : {Regard::Difficult, Regard::Crowd}) {
        // Both detections of the ignored box come first, and change nothing.
        const auto tally = tally_of(
            {{{{0, 0.9F, kBox}, {0, 0.8F, kNear}, {0, 0.7F, kFar}},
              {{0, kBox, regard}, {0, kFar}}}},
            1
        );
        EXPECT_DOUBLE_EQ(*tally.map50(), 1.0);
        EXPECT_EQ(tally.truths(0), 1U);
    }
    const std::vector<Detection> found{{0, 0.9F, kWithin}, {0, 0.7F, kFar}};
    EXPECT_DOUBLE_EQ(*tally_of({{found, {{0, kBox, Regard::Crowd}, {0, kFar}}}}, 1).map50(), 1.0);
    EXPECT_DOUBLE_EQ(
        *tally_of({{found, {{0, kBox, Regard::Difficult}, {0, kFar}}}}, 1).map50(), 0.5
    );
    // A counted box goes before an ignored one that overlaps more.
    const auto both =
        tally_of({{{{0, 0.9F, kBox}}, {{0, kBox, Regard::Difficult}, {0, kNear}}}}, 1);
    EXPECT_DOUBLE_EQ(*both.map50(), 1.0);
}

TEST(BoxTally, EmptyImagesAndClassesHaveNoPrecision) {
    const BoxTally empty(3);
    EXPECT_FALSE(empty.map50() || empty.map());
    expect_sound_codec(empty);
    auto tally = tally_of({{}, {{{1, 0.5F, kBox}}, {}}}, 3);
    EXPECT_FALSE(tally.map50().has_value());
    ASSERT_TRUE(tally.add({}, std::vector<TrueBox>{{2, kBox}}).has_value());
    EXPECT_EQ(*tally.map50(), 0.0);
    EXPECT_FALSE(tally.average_precision(1, 0).has_value());
    const Box point{1.0F, 1.0F, 1.0F, 1.0F};
    EXPECT_EQ(*tally_of({{{{0, 0.5F, point}}, {{0, point}}}}, 1).map(), 0.0);
}

TEST(BoxTally, WhatIsNoBoxIsNotCounted) {
    BoxTally tally(2);
    const auto refused = [&](const Detection& detection, const TrueBox& truth) {
        const std::vector<Detection> detections{{0, 0.5F, kBox}, detection};
        return tally.add(detections, std::vector{truth}).has_error();
    };
    const Detection good{1, 0.5F, kBox};
    const TrueBox truth{1, kBox};
    const auto nan = std::nanf("");
    EXPECT_TRUE(refused({2, 0.5F, kBox}, truth));
    EXPECT_TRUE(refused({-1, 0.5F, kBox}, truth));
    EXPECT_TRUE(refused({1, nan, kBox}, truth));
    EXPECT_TRUE(refused({1, 1.5F, kBox}, truth));
    EXPECT_TRUE(refused({1, 0.5F, {0.0F, nan, 1.0F, 1.0F}}, truth));
    EXPECT_TRUE(refused({1, 0.5F, {2.0F, 0.0F, 1.0F, 1.0F}}, truth));
    EXPECT_TRUE(refused(good, {2, kBox}));
    EXPECT_TRUE(refused(good, {1, {0.0F, 0.0F, HUGE_VALF, 1.0F}}));
    EXPECT_TRUE(tally.merge(BoxTally(3)).has_error());
    EXPECT_EQ(tally, BoxTally(2));
}

TEST(BoxTally, PartsMergeInAnyOrder) {
    Rng rng(3);
    std::vector<BoxTally> parts;
    std::vector<Image> all;
    for (std::size_t i = 0; i < 6; ++i) {
        const auto images = random_images(rng, 10 + 200 * i, 300, false);
        parts.push_back(tally_of(images, 300));
        all.insert(all.end(), images.begin(), images.end());
    }
    rng.shuffle(std::span(all));
    expect_any_order(parts, tally_of(all, 300));
}

TEST(BoxTally, ItsCodecIsSound) {
    Rng rng(4);
    expect_sound_codec(tally_of(random_images(rng, 20, 3, false), 3));
    expect_sound_codec(tally_of(random_images(rng, 600, 300, true), 300));
}

TEST(BoxTally, LiesAreRefused) {
    const auto is_taken = [](std::uint64_t images,
                             std::uint64_t detections,
                             std::uint64_t truths,
                             std::uint64_t hits,
                             std::uint64_t misses) {
        Bytes bytes;
        ByteWriter out(bytes);
        for (const auto value :
             {std::uint64_t{1}, images, detections, std::uint64_t{1}, std::uint64_t{0}, truths}) {
            put_packed(out, value);
        }
        ScoreBins<2 * kThresholds> found;
        if (hits + misses > 0) {
            ScoreBins<2 * kThresholds>::Bin bin;
            bin.counts[3] = hits;
            bin.counts[kThresholds + 3] = misses;
            found.add({bin});
        }
        found.encode(out);
        return is_read<BoxTally>(bytes);
    };
    EXPECT_TRUE(is_taken(1, 5, 2, 2, 3));
    EXPECT_FALSE(is_taken(1, 5, 2, 3, 2));  // more hits than boxes
    EXPECT_FALSE(is_taken(1, 4, 2, 2, 3));  // more verdicts than detections
    EXPECT_FALSE(is_taken(0, 5, 2, 2, 3));  // no image
    EXPECT_FALSE(is_taken(1, 5, 0, 0, 0));  // a class without anything
}

}  // namespace
}  // namespace starling::compute
