// Goal: what one score says of samples is within the stated error, merges in any order, and no bytes
// harm the reader.
// Method: naive twins over full lists: AUC by comparing all pairs, average precision and F1 at each
// different score; scores that crowd at either end; values from scikit-learn's documentation.

#include "compute/metrics/score_tally.hpp"

#include <algorithm>
#include <limits>
#include <map>

#include "tests/unit/compute/metrics/ranking_twin.hpp"
#include "tests/unit/compute/metrics/tally_fixture.hpp"

namespace starling::compute {
namespace {

/// Positives tend to higher scores: theirs are the larger of two draws.
ScoredList random_list(Rng& rng, std::size_t count, double (*score)(Rng&)) {
    ScoredList list;
    for (std::size_t i = 0; i < count; ++i) {
        const bool positive = rng.chance(0.2);
        const auto first = static_cast<float>(score(rng));
        list.scores.push_back(positive ? std::max(first, static_cast<float>(score(rng))) : first);
        list.targets.push_back(positive ? 1.0F : 0.0F);
    }
    return list;
}

ScoreTally tally_of(const ScoredList& list, ScoreKind kind) {
    ScoreTally tally;
    EXPECT_TRUE(tally.add(list.scores, list.targets, kind).has_value());
    return tally;
}

void expect_near_twin(const ScoredList& list, ScoreKind kind, double error) {
    const auto tally = tally_of(list, kind);
    const auto& ranking = tally.ranking();
    const auto auc = std::abs(*roc_auc(ranking) - twin_auc(list));
    const auto precision = std::abs(*average_precision(ranking) - twin_average_precision(list));
    EXPECT_LE(auc, error + 1e-12);
    EXPECT_LE(precision, error + 1e-12);
    EXPECT_LE(auc, roc_auc_error(ranking) + 1e-12);
    EXPECT_LE(precision, average_precision_error(ranking) + 1e-12);
    EXPECT_LE(roc_auc_error(ranking), 0.7 * error);
    EXPECT_LE(average_precision_error(ranking), 7.0 * error);
    EXPECT_NEAR(best_f1(ranking)->f1, twin_best_f1(list), error + 1e-12);
}

TEST(ScoreTally, FewScoresAreExact) {
    const ScoredList list{{0.1F, 0.4F, 0.35F, 0.8F}, {0.0F, 0.0F, 1.0F, 1.0F}};
    const auto tally = tally_of(list, ScoreKind::Probability);
    EXPECT_DOUBLE_EQ(*roc_auc(tally.ranking()), 0.75);  // scikit-learn, roc_auc_score
    EXPECT_NEAR(*average_precision(tally.ranking()), 0.8333333, 1e-7);  // average_precision_score
    EXPECT_DOUBLE_EQ(*tally.accuracy(), 0.75);
    EXPECT_DOUBLE_EQ(*tally.balanced_accuracy(), 0.75);
    const auto best = best_f1(tally.ranking());
    EXPECT_DOUBLE_EQ(best->f1, 0.8);
    EXPECT_LT(best->probability, 0.35);
    EXPECT_GT(best->probability, 0.3499);
    const auto nats = -(std::log(0.9) + std::log(0.6) + std::log(0.35) + std::log(0.8)) / 4.0;
    EXPECT_NEAR(*tally.loss(), nats, 1e-7);
}

TEST(ScoreTally, EqualScoresAgreeWithTheTwinsExactly) {
    Rng rng(1);
    for (int i = 0; i < 20; ++i) {
        const auto list = random_list(rng, 1 + rng.below(300), [](Rng& draws) {
            return std::round(draws.normal() * 4.0) / 4.0;
        });
        const auto tally = tally_of(list, ScoreKind::Logit);
        if (!roc_auc(tally.ranking())) continue;
        expect_near_twin(list, ScoreKind::Logit, 0.0);
        double right = 0.0;
        for (std::size_t n = 0; n < list.scores.size(); ++n) {
            right += (list.scores[n] > 0.0F) == (list.targets[n] > 0.5F) ? 1.0 : 0.0;
        }
        EXPECT_DOUBLE_EQ(*tally.accuracy(), right / static_cast<double>(list.scores.size()));
    }
}

TEST(ScoreTally, ErrorStaysBelowAThousandthWhereverScoresLie) {
    Rng rng(2);
    using Draw = double (*)(Rng&);
    const Draw probabilities[] = {
        [](Rng& draws) { return draws.uniform(); },
        [](Rng& draws) { return draws.uniform() * 1e-3; },
        [](Rng& draws) { return draws.uniform() * 1e-30; },
        [](Rng& draws) { return 1.0 - draws.uniform() * 1e-3; },
        [](Rng& draws) { return 1.0 - draws.uniform() * 1e-6; },
        [](Rng& draws) { return 0.3 + draws.uniform() * 1e-3; },
        [](Rng& draws) { return draws.chance(0.5) ? draws.uniform() * 1e-3 : draws.uniform(); },
    };
    for (const auto draw : probabilities) {
        expect_near_twin(random_list(rng, 15000, draw), ScoreKind::Probability, 1e-3);
    }
    const Draw logits[] = {
        [](Rng& draws) { return draws.normal(); },
        [](Rng& draws) { return draws.normal() * 50.0; },
        [](Rng& draws) { return draws.normal() * 1e-4 - 20.0; },
        [](Rng& draws) { return draws.normal() * (draws.chance(0.01) ? 1000.0 : 1.0); },
    };
    for (const auto draw : logits) {
        expect_near_twin(random_list(rng, 15000, draw), ScoreKind::Logit, 1e-3);
    }
}

TEST(ScoreTally, BoundOfTheErrorHardlyGrowsWithTheNumberOfScores) {
    Rng rng(6);
    const auto list = random_list(rng, 200000, [](Rng& draws) { return draws.uniform() * 1e-3; });
    const auto tally = tally_of(list, ScoreKind::Probability);
    EXPECT_LT(roc_auc_error(tally.ranking()), 0.7e-3);
    EXPECT_LT(average_precision_error(tally.ranking()), 7e-3);
    EXPECT_LE(tally.ranking().bins().size(), kBinsMax);
}

TEST(ScoreTally, OneClassAloneHasNoCurve) {
    const ScoredList list{{0.1F, 0.9F}, {0.0F, 0.0F}};
    const auto negatives = tally_of(list, ScoreKind::Probability);
    EXPECT_FALSE(roc_auc(negatives.ranking()) || average_precision(negatives.ranking()));
    EXPECT_FALSE(best_f1(negatives.ranking()).has_value());
    EXPECT_DOUBLE_EQ(*negatives.accuracy(), 0.5);
    const auto positives = tally_of({{0.1F, 0.9F}, {1.0F, 1.0F}}, ScoreKind::Probability);
    EXPECT_FALSE(roc_auc(positives.ranking()).has_value());
    EXPECT_DOUBLE_EQ(*average_precision(positives.ranking()), 1.0);
    const ScoreTally empty;
    EXPECT_FALSE(empty.loss() || empty.accuracy() || empty.balanced_accuracy());
    expect_sound_codec(empty);
}

TEST(ScoreTally, EndsOfTheRangeAreScores) {
    const ScoredList ends{{0.0F, 1.0F, 0.5F, 0.0F}, {0.0F, 1.0F, 0.0F, 1.0F}};
    const auto tally = tally_of(ends, ScoreKind::Probability);
    EXPECT_DOUBLE_EQ(*roc_auc(tally.ranking()), twin_auc(ends));
    EXPECT_DOUBLE_EQ(*tally.accuracy(), 0.75);
    EXPECT_NEAR(*tally.loss(), (0.0 + 0.0 + std::log(2.0) + 100.0) / 4.0, 1e-12);
    const auto largest = std::numeric_limits<float>::max();
    const ScoredList huge{{-largest, largest, 1e6F}, {0.0F, 1.0F, 0.0F}};
    EXPECT_DOUBLE_EQ(*roc_auc(tally_of(huge, ScoreKind::Logit).ranking()), 0.75);
}

TEST(ScoreTally, RowsOfTwoClassesRankByTheirDifference) {
    Rng rng(3);
    const auto rows = random_rows(rng, 500, 2);
    ScoreTally tally;
    ASSERT_TRUE(tally.add(rows.view()).has_value());
    ScoredList list;
    for (std::size_t n = 0; n < 500; ++n) {
        list.scores.push_back(rows.scores[2 * n + 1] - rows.scores[2 * n]);
        list.targets.push_back(static_cast<float>(rows.labels[n]));
    }
    const auto same = tally_of(list, ScoreKind::Logit);
    EXPECT_EQ(tally.ranking(), same.ranking());
    EXPECT_NEAR(*tally.loss(), *same.loss(), 1e-12);
    EXPECT_TRUE(tally.add(random_rows(rng, 3, 3).view()).has_error());
}

TEST(ScoreTally, WhatIsNoScoreIsNotCounted) {
    ScoreTally tally;
    const std::vector<float> targets{1.0F, 0.0F};
    const auto refused = [&](float score, ScoreKind kind) {
        const auto added = tally.add(std::vector{0.5F, score}, targets, kind);
        return added.has_error() && added.error().code == FaultCode::BadValue;
    };
    for (const auto kind : {ScoreKind::Logit, ScoreKind::Probability, ScoreKind::LogProbability}) {
        EXPECT_TRUE(refused(std::nanf(""), kind));
        EXPECT_TRUE(refused(-HUGE_VALF, kind));
    }
    EXPECT_TRUE(refused(1.01F, ScoreKind::Probability));
    EXPECT_TRUE(tally.add(targets, std::vector{0.0F, std::nanf("")}, ScoreKind::Logit).has_error());
    EXPECT_TRUE(tally.add(targets, std::vector{0.0F, 1.1F}, ScoreKind::Logit).has_error());
    EXPECT_TRUE(tally.add(targets, std::vector{0.0F}, ScoreKind::Logit).has_error());
    EXPECT_EQ(tally, ScoreTally());
}

TEST(ScoreTally, PartsMergeInAnyOrder) {
    Rng rng(4);
    std::vector<ScoreTally> parts;
    ScoreTally whole;
    for (int i = 0; i < 9; ++i) {
        const auto list = random_list(rng, 50U << static_cast<unsigned>(i), [](Rng& draws) {
            return draws.normal() * 10.0;
        });
        parts.push_back(tally_of(list, ScoreKind::Logit));
        ASSERT_TRUE(whole.add(list.scores, list.targets, ScoreKind::Logit).has_value());
    }
    EXPECT_EQ(parts.front().ranking().level(), 0U);
    EXPECT_GT(parts.back().ranking().level(), 0U);
    expect_any_order(parts, whole);
}

TEST(ScoreTally, ItsCodecIsSound) {
    Rng rng(5);
    for (const std::size_t count : {1U, 100U, 20000U}) {
        const auto list = random_list(rng, count, [](Rng& draws) { return draws.normal(); });
        const auto tally = tally_of(list, ScoreKind::Logit);
        EXPECT_LT(bytes_of(tally).size(), 30000U);
        expect_sound_codec(tally);
    }
}

TEST(ScoreBins, LevelThatIsTooHighIsRefused) {
    const auto bytes = [](std::initializer_list<std::uint64_t> values) {
        Bytes out;
        ByteWriter writer(out);
        for (const auto value : values) put_packed(writer, value);
        ByteReader in(out);
        (void)Ranking::decode(in);
        return in.finished();
    };
    const auto zero = static_cast<std::uint64_t>(kBinIndexMax);
    EXPECT_TRUE(bytes({2, 0, 2, zero, 1, 0, 0, 0, 1}));
    EXPECT_FALSE(bytes({1, 0, 1, zero, 1, 0}));                 // too few bins
    EXPECT_FALSE(bytes({4097, 0, 1, zero, 1, 0}));              // too many
    EXPECT_FALSE(bytes({4, 0, 5, zero, 1, 0}));                 // more than allowed
    EXPECT_FALSE(bytes({4, 0, 1, zero, 0, 0}));                 // an empty bin
    EXPECT_FALSE(bytes({4, 0, 1, 2 * zero, 0, 1}));             // beyond the range
    EXPECT_FALSE(bytes({4, 3, 2, zero >> 3U, 1, 0, 0, 1, 0}));  // level 2 would do
    EXPECT_TRUE(bytes({4, 3, 3, zero >> 3U, 1, 0, 0, 1, 0, 0, 1, 0}));
    EXPECT_FALSE(bytes({4, 0, 2, zero, kCountMax, 0, 0, 1, 0}));  // too many in all
}

}  // namespace
}  // namespace starling::compute
