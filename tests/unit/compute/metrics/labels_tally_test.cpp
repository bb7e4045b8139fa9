// Goal: means over labels, and over classes against the rest, are those of the single rankings.
// Method: the naive twins of one ranking, for each label; a table of lies.

#include "compute/metrics/labels_tally.hpp"

#include "compute/metrics/class_tally.hpp"
#include "compute/metrics/packing.hpp"
#include "tests/unit/compute/metrics/ranking_twin.hpp"
#include "tests/unit/compute/metrics/tally_fixture.hpp"

namespace starling::compute {
namespace {

struct Labels {
    std::vector<float> scores;
    std::vector<float> targets;
};

Labels random_labels(Rng& rng, std::size_t samples, std::size_t labels) {
    Labels out;
    for (std::size_t i = 0; i < samples * labels; ++i) {
        out.targets.push_back(rng.chance(0.3) ? 1.0F : 0.0F);
        const auto score = rng.normal() + static_cast<double>(out.targets.back());
        out.scores.push_back(static_cast<float>(std::round(score * 16.0) / 16.0));
    }
    return out;
}

LabelsTally tally_of(const Labels& labels, std::size_t count) {
    LabelsTally tally(Rankings::Labels, count);
    EXPECT_TRUE(tally.add(labels.scores, labels.targets, ScoreKind::Logit).has_value());
    return tally;
}

TEST(LabelsTally, MeansAreThoseOfTheLabels) {
    Rng rng(1);
    const auto labels = random_labels(rng, 200, 5);
    const auto tally = tally_of(labels, 5);
    double auc = 0.0;
    double precision = 0.0;
    double f1 = 0.0;
    for (std::size_t c = 0; c < 5; ++c) {
        ScoredList list;
        for (std::size_t n = 0; n < 200; ++n) {
            list.scores.push_back(labels.scores[n * 5 + c]);
            list.targets.push_back(labels.targets[n * 5 + c]);
        }
        auc += twin_auc(list) / 5.0;
        precision += twin_average_precision(list) / 5.0;
        f1 += twin_best_f1(list) / 5.0;
    }
    EXPECT_NEAR(*tally.macro_auc(), auc, 1e-12);
    EXPECT_NEAR(*tally.macro_average_precision(), precision, 1e-12);
    EXPECT_NEAR(*tally.macro_best_f1(), f1, 1e-12);
    EXPECT_EQ(tally.count(), 200U);
    double right = 0.0;
    double nats = 0.0;
    for (std::size_t i = 0; i < 1000; ++i) {
        const auto score = double{labels.scores[i]};
        right += (score > 0.0) == (labels.targets[i] > 0.5F) ? 1.0 : 0.0;
        nats += std::log1p(std::exp(labels.targets[i] > 0.5F ? -score : score));
    }
    EXPECT_NEAR(*tally.accuracy(), right / 1000.0, 1e-12);
    EXPECT_NEAR(*tally.loss(), nats / 1000.0, 1e-12);
}

TEST(LabelsTally, EachClassIsRankedAgainstTheRestByItsProbability) {
    Rng rng(2);
    for (const std::size_t classes : {2U, 4U}) {
        const auto rows = random_rows(rng, 400, classes);
        LabelsTally tally(Rankings::OneVsRest, classes);
        ASSERT_TRUE(tally.add(rows.view()).has_value());
        double auc = 0.0;
        for (std::size_t c = 0; c < classes; ++c) {
            ScoredList list;
            for (std::size_t n = 0; n < 400; ++n) {
                // Log odds as a fraction of weights, rounded so that equal ones stay equal.
                double others = 0.0;
                for (std::size_t k = 0; k < classes; ++k) {
                    if (k != c) others += std::exp(double{rows.scores[n * classes + k]});
                }
                const auto odds = double{rows.scores[n * classes + c]} - std::log(others);
                list.scores.push_back(static_cast<float>(std::round(odds * 1e5) / 1e5));
                list.targets.push_back(static_cast<std::size_t>(rows.labels[n]) == c ? 1.0F : 0.0F);
            }
            auc += twin_auc(list) / static_cast<double>(classes);
        }
        EXPECT_NEAR(*tally.macro_auc(), auc, 1e-4);
        ClassTally classwise(classes);
        ASSERT_TRUE(classwise.add(rows.view()).has_value());
        EXPECT_EQ(tally.loss(), classwise.loss());
        EXPECT_FALSE(tally.accuracy().has_value());
    }
}

TEST(LabelsTally, SharesOfWeightsKeepTheirDigitsNearOne) {
    for (const float gap : {30.0F, 300.0F, 3000.0F}) {
        std::vector<double> odds(3);
        class_log_odds(std::vector{gap, 0.0F, 0.0F}, ScoreKind::Logit, odds);
        EXPECT_NEAR(odds[0], double{gap} - std::log(2.0), 1e-9);
        EXPECT_NEAR(odds[1], -double{gap}, 1e-9);
    }
    std::vector<double> odds(2);
    class_log_odds(std::vector{0.0F, 1.0F}, ScoreKind::Probability, odds);
    EXPECT_EQ(odds[0], -HUGE_VAL);
    EXPECT_EQ(odds[1], HUGE_VAL);
    class_log_odds(std::vector{0.0F, 0.0F}, ScoreKind::Probability, odds);
    EXPECT_EQ(odds[0], 0.0);
    EXPECT_EQ(odds[1], 0.0);
    class_log_odds(std::vector{0.25F, 0.75F}, ScoreKind::Probability, odds);
    EXPECT_NEAR(odds[0], -std::log(3.0), 1e-12);
    EXPECT_NEAR(odds[1], std::log(3.0), 1e-12);
}

TEST(LabelsTally, ClassThatDoesNotOccurCountsForNothing) {
    OwnedRows rows{{2.0F, 0.0F, 0.0F, 0.0F, 2.0F, 0.0F}, {0, 1}, 3};
    LabelsTally tally(Rankings::OneVsRest, 3);
    EXPECT_FALSE(tally.macro_auc() || tally.loss() || tally.macro_average_precision());
    ASSERT_TRUE(tally.add(rows.view()).has_value());
    EXPECT_DOUBLE_EQ(*tally.macro_auc(), 1.0);
}

TEST(LabelsTally, OtherShapesAndKindsAreRefused) {
    Rng rng(3);
    auto labels = random_labels(rng, 4, 3);
    LabelsTally tally(Rankings::Labels, 3);
    LabelsTally rest(Rankings::OneVsRest, 3);
    const auto kind = ScoreKind::Logit;
    EXPECT_TRUE(rest.add(labels.scores, labels.targets, kind).has_error());
    EXPECT_TRUE(tally.add(random_rows(rng, 2, 3).view()).has_error());
    EXPECT_TRUE(rest.add(random_rows(rng, 2, 4).view()).has_error());
    EXPECT_TRUE(tally.merge(rest).has_error());
    EXPECT_TRUE(tally.merge(LabelsTally(Rankings::Labels, 4)).has_error());
    labels.scores[5] = std::nanf("");
    EXPECT_TRUE(tally.add(labels.scores, labels.targets, kind).has_error());
    labels.scores.pop_back();
    EXPECT_TRUE(tally.add(labels.scores, labels.targets, kind).has_error());
    labels.targets.pop_back();
    EXPECT_TRUE(tally.add(labels.scores, labels.targets, kind).has_error());
    EXPECT_EQ(tally, LabelsTally(Rankings::Labels, 3));
}

TEST(LabelsTally, PartsMergeInAnyOrder) {
    Rng rng(4);
    std::vector<LabelsTally> parts;
    LabelsTally whole(Rankings::Labels, 300);
    for (int i = 0; i < 5; ++i) {
        const auto labels = random_labels(rng, 60, 300);
        parts.push_back(tally_of(labels, 300));
        ASSERT_TRUE(whole.add(labels.scores, labels.targets, ScoreKind::Logit).has_value());
    }
    EXPECT_EQ(whole.rankings().front().bins_max(), 256U);
    expect_any_order(parts, whole);
}

TEST(LabelsTally, ItsCodecIsSound) {
    Rng rng(5);
    expect_sound_codec(tally_of(random_labels(rng, 100, 4), 4));
    LabelsTally tally(Rankings::OneVsRest, 3);
    expect_sound_codec(tally);
    ASSERT_TRUE(tally.add(random_rows(rng, 100, 3).view()).has_value());
    expect_sound_codec(tally);
}

TEST(LabelsTally, RankingsOfDifferentSamplesAreRefused) {
    const auto is_taken = [](Rankings kind, std::uint64_t positives, std::uint64_t negatives) {
        Bytes bytes;
        ByteWriter out(bytes);
        out.put(kind);
        put_packed(out, 2);
        ExactSum().encode(out);
        Ranking first;
        first.add({{0, {1, 1}}});
        Ranking second;
        second.add({{0, {negatives, positives}}});
        first.encode(out);
        second.encode(out);
        return is_read<LabelsTally>(bytes);
    };
    EXPECT_TRUE(is_taken(Rankings::Labels, 2, 0));
    EXPECT_FALSE(is_taken(Rankings::Labels, 2, 1));
    EXPECT_TRUE(is_taken(Rankings::OneVsRest, 1, 1));
    EXPECT_FALSE(is_taken(Rankings::OneVsRest, 2, 0));
}

}  // namespace
}  // namespace starling::compute
