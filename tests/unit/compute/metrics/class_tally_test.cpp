// Goal: the counts of classes and what follows from them are right, merge in any order, and no bytes
// harm their reader.
// Method: a naive twin over full lists on random rows with equal scores; a table of lies.

#include "compute/metrics/class_tally.hpp"

#include <algorithm>
#include <limits>
#include <set>

#include "compute/metrics/packing.hpp"
#include "tests/unit/compute/metrics/tally_fixture.hpp"

namespace starling::compute {
namespace {

/// The twin: the position of the label in the sorted row, and sums over lists for each class.
struct Twin {
    std::vector<std::size_t> predictions;
    std::size_t top5 = 0;
    double loss = 0.0;

    explicit Twin(const OwnedRows& rows) {
        for (std::size_t n = 0; n < rows.labels.size(); ++n) {
            const auto* row = rows.scores.data() + n * rows.classes;
            std::vector<std::size_t> order(rows.classes);
            for (std::size_t c = 0; c < order.size(); ++c) order[c] = c;
            std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
                return row[a] > row[b];
            });
            predictions.push_back(order.front());
            const auto label = static_cast<std::size_t>(rows.labels[n]);
            const auto end =
                order.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(5, order.size()));
            top5 += std::find(order.begin(), end, label) != end ? 1U : 0U;
            double sum = 0.0;
            for (std::size_t c = 0; c < rows.classes; ++c) sum += std::exp(double{row[c]});
            loss += std::log(sum) - double{row[label]};
        }
        loss /= static_cast<double>(rows.labels.size());
    }

    double mean(const OwnedRows& rows, bool f1) const {
        double sum = 0.0;
        double counted = 0.0;
        for (std::size_t c = 0; c < rows.classes; ++c) {
            double truths = 0.0;
            double guesses = 0.0;
            double hits = 0.0;
            for (std::size_t n = 0; n < rows.labels.size(); ++n) {
                const bool is = static_cast<std::size_t>(rows.labels[n]) == c;
                truths += is ? 1.0 : 0.0;
                guesses += predictions[n] == c ? 1.0 : 0.0;
                hits += is && predictions[n] == c ? 1.0 : 0.0;
            }
            if (truths == 0.0 && (!f1 || guesses == 0.0)) continue;
            counted += 1.0;
            sum += f1 ? 2.0 * hits / (truths + guesses) : hits / truths;
        }
        return sum / counted;
    }
};

ClassTally tally_of(const OwnedRows& rows) {
    ClassTally tally(rows.classes);
    EXPECT_TRUE(tally.add(rows.view()).has_value());
    return tally;
}

TEST(ClassTally, AgreesWithItsTwin) {
    Rng rng(1);
    for (const std::size_t classes : {1U, 2U, 4U, 10U, 256U, 257U, 1000U}) {
        const auto rows = random_rows(rng, 300, classes);
        const Twin twin(rows);
        const auto tally = tally_of(rows);
        EXPECT_EQ(tally.count(), 300U);
        EXPECT_EQ(tally.top5(), twin.top5);
        EXPECT_NEAR(*tally.loss(), twin.loss, 1e-6);
        EXPECT_NEAR(*tally.balanced_accuracy(), twin.mean(rows, false), 1e-12);
        EXPECT_NEAR(*tally.macro_f1(), twin.mean(rows, true), 1e-12);
        std::uint64_t hits = 0;
        for (std::size_t n = 0; n < 300; ++n) {
            hits += twin.predictions[n] == static_cast<std::size_t>(rows.labels[n]) ? 1U : 0U;
        }
        EXPECT_EQ(tally.correct(), hits);
    }
}

TEST(ClassTally, OneClassIsDescribed) {
    // Truths 0 0 0 1 1 2, predictions 0 0 1 1 0 2; class 3 occurs nowhere.
    OwnedRows rows{{}, {0, 0, 0, 1, 1, 2}, 4};
    for (const std::size_t best : {0U, 0U, 1U, 1U, 0U, 2U}) {
        for (std::size_t c = 0; c < 4; ++c) rows.scores.push_back(c == best ? 1.0F : 0.0F);
    }
    const auto tally = tally_of(rows);
    EXPECT_EQ(tally.confusion(0, 1), 1U);
    EXPECT_EQ(tally.confusion(1, 0), 1U);
    EXPECT_EQ(tally.confusion(3, 3), 0U);
    EXPECT_DOUBLE_EQ(*tally.quality_of(0).precision, 2.0 / 3.0);
    EXPECT_DOUBLE_EQ(*tally.quality_of(1).recall, 0.5);
    EXPECT_DOUBLE_EQ(*tally.quality_of(1).f1, 0.5);
    EXPECT_FALSE(tally.quality_of(3).f1.has_value());
    EXPECT_DOUBLE_EQ(*tally.balanced_accuracy(), (2.0 / 3.0 + 0.5 + 1.0) / 3.0);
    EXPECT_DOUBLE_EQ(*tally.accuracy(), 4.0 / 6.0);
}

TEST(ClassTally, AllKindsOfScoresGiveTheSameLoss) {
    Rng rng(2);
    auto rows = random_rows(rng, 50, 7);
    const auto logits = tally_of(rows);
    for (std::size_t n = 0; n < 50; ++n) {
        double sum = 0.0;
        for (std::size_t c = 0; c < 7; ++c) sum += std::exp(double{rows.scores[n * 7 + c]});
        for (std::size_t c = 0; c < 7; ++c) {
            rows.scores[n * 7 + c] -= static_cast<float>(std::log(sum));
        }
    }
    rows.kind = ScoreKind::LogProbability;
    EXPECT_NEAR(*tally_of(rows).loss(), *logits.loss(), 1e-6);
    for (auto& score : rows.scores) score = std::exp(score);
    rows.kind = ScoreKind::Probability;
    EXPECT_NEAR(*tally_of(rows).loss(), *logits.loss(), 1e-6);
    rows.scores.assign(rows.scores.size(), 0.0F);
    EXPECT_EQ(*tally_of(rows).loss(), 100.0);
}

TEST(ClassTally, NothingGivesNothing) {
    const ClassTally tally(3);
    EXPECT_FALSE(tally.loss() || tally.accuracy() || tally.top5_accuracy());
    EXPECT_FALSE(tally.balanced_accuracy() || tally.macro_f1());
    expect_sound_codec(tally);
}

TEST(ClassTally, WhatIsNoScoreIsNotCounted) {
    Rng rng(3);
    const auto good = random_rows(rng, 5, 3);
    const auto refused = [](const OwnedRows& rows) {
        ClassTally tally(3);
        const auto added = tally.add(rows.view());
        EXPECT_TRUE(added.has_error() && added.error().code == FaultCode::BadValue);
        EXPECT_EQ(tally, ClassTally(3));
    };
    for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
        auto rows = good;
        rows.scores[7] = bad;
        refused(rows);
    }
    for (const std::int32_t bad : {-1, 3}) {
        auto rows = good;
        rows.labels[4] = bad;
        refused(rows);
    }
    auto rows = good;
    rows.kind = ScoreKind::Probability;
    rows.scores[0] = 1.5F;
    refused(rows);
    rows = good;
    rows.scores.pop_back();
    refused(rows);
    rows = good;
    rows.classes = 2;
    refused(rows);
}

TEST(ClassTally, PartsMergeInAnyOrder) {
    Rng rng(4);
    for (const std::size_t classes : {10U, 300U}) {
        std::vector<ClassTally> parts;
        ClassTally whole(classes);
        for (int i = 0; i < 7; ++i) {
            const auto rows = random_rows(rng, 40, classes);
            ASSERT_TRUE(whole.add(rows.view()).has_value());
            parts.push_back(tally_of(rows));
        }
        expect_any_order(parts, whole);
    }
    ClassTally other(4);
    EXPECT_TRUE(other.merge(ClassTally(5)).has_error());
}

TEST(ClassTally, ItsCodecIsSound) {
    Rng rng(5);
    for (const std::size_t classes : {2U, 10U, 300U}) {
        expect_sound_codec(tally_of(random_rows(rng, 200, classes)));
    }
}

TEST(ClassTally, LiesAreRefused) {
    const auto refused = [](std::initializer_list<std::uint64_t> before,
                            std::initializer_list<std::uint64_t> after) {
        Bytes bytes;
        ByteWriter out(bytes);
        for (const auto value : before) put_packed(out, value);
        ExactSum().encode(out);
        for (const auto value : after) put_packed(out, value);
        return !is_read<ClassTally>(bytes);
    };
    EXPECT_FALSE(refused({3, 4}, {2, 0, 3, 0, 1}));
    EXPECT_TRUE(refused({0, 0}, {0}));                    // no classes
    EXPECT_TRUE(refused({3, 3}, {2, 0, 3, 0, 1}));        // fewer in the top 5 than there are
    EXPECT_TRUE(refused({9, 5}, {2, 0, 3, 0, 1}));        // more in the top 5 than rows
    EXPECT_TRUE(refused({9, 2}, {1, 0, 3}));              // fewer in the top 5 than right
    EXPECT_TRUE(refused({3, 4}, {2, 0, 3, 8, 1}));        // no such cell
    EXPECT_TRUE(refused({3, 3}, {1, 0, 0}));              // an empty cell
    EXPECT_TRUE(refused({3, 0}, {10}));                   // more cells than there are
    EXPECT_TRUE(refused({3, 0}, {1, 0, kCountMax + 1}));  // too many rows
    EXPECT_FALSE(refused({300, 2}, {2, 0, 1, 1, 1, 8, 1, 1, 1}));
    EXPECT_TRUE(refused({300, 2}, {2, 0, 1, 1, 2, 8, 1, 1, 1}));  // more hits than truths
    EXPECT_TRUE(refused({300, 2}, {2, 0, 1, 2, 1, 8, 1, 1, 1}));  // more predictions than truths
    EXPECT_TRUE(refused({300, 2}, {1, 300, 2, 2, 2}));            // no such class
}

}  // namespace
}  // namespace starling::compute
