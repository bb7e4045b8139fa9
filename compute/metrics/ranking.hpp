#pragma once

// How well scores put positives above negatives: curves over bins of scores. Scores in one bin count
// as equal.

#include <cstddef>
#include <optional>

#include "compute/metrics/score_bins.hpp"

namespace starling::compute {

inline constexpr std::size_t kNegatives = 0;
inline constexpr std::size_t kPositives = 1;

using Ranking = ScoreBins<2>;

/// Log odds above which a score is taken for positive, and the F1 that this gives.
struct BestF1 {
    double f1 = 0.0;
    double log_odds = 0.0;
    double probability = 0.0;
};

/// Returns the area under the ROC curve: the share of pairs of a positive and a negative in which
/// the positive has the higher score, where equal scores count half. Empty without such a pair.
/// Errors    none
/// Thread    any (pure)
/// Source    Fawcett, "An introduction to ROC analysis", 2006, section 7
[[nodiscard]] std::optional<double> roc_auc(const Ranking& ranking);

/// Returns how far roc_auc can be from the value of the exact scores: half the share of pairs that
/// lie in one bin, and 0 at level 0, where only scores within 2^-40 of log odds share a bin.
///
/// With kBinsMax bins it is below 0.0007 for up to a million scores that are spread evenly over
/// [0, 1], [0, 0.001], [0.999, 1] or another interval, and for normal log odds. It is larger where
/// most scores crowd in less than a thousandth of the log odds over which thousands of others lie.
/// Errors    none
/// Thread    any (pure)
[[nodiscard]] double roc_auc_error(const Ranking& ranking);

/// Returns the sum over thresholds of the step in recall times the precision after it. Empty
/// without a positive.
/// Errors    none
/// Thread    any (pure)
/// Source    scikit-learn, average_precision_score
[[nodiscard]] std::optional<double> average_precision(const Ranking& ranking);

/// Returns how far average_precision can be from the value of the exact scores; 0 at level 0. Each
/// positive of a bin with p positives and n negatives, behind P and N of higher bins, has a
/// precision between (P + 1) / (P + 1 + N + n) and (P + p) / (P + p + N).
///
/// This is for the worst order within each bin: up to 0.007 for the scores of roc_auc_error, nearly
/// all of it from the few highest bins. The error of random scores is below 0.001.
/// Errors    none
/// Thread    any (pure)
[[nodiscard]] double average_precision_error(const Ranking& ranking);

/// Returns the highest F1 over all thresholds, and the highest threshold that has it. Empty without
/// a positive.
/// Errors    none
/// Thread    any (pure)
[[nodiscard]] std::optional<BestF1> best_f1(const Ranking& ranking);

/// Returns how many scores are on the right side of log odds 0, a probability of 0.5; one at 0 is
/// taken for negative. Exact: no bin has scores on both sides.
/// Errors    none
/// Thread    any (pure)
[[nodiscard]] ScoreBins<2>::Counts right_at_half(const Ranking& ranking);

}  // namespace starling::compute
