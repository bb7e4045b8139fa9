#pragma once

// What a model's scores mean, and how tallies read rows of them.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.hpp"
#include "compute/metrics/exact_sum.hpp"

namespace starling::compute {

/// What a score is. A probability 0 costs 100 nats and not infinitely many, as in PyTorch's BCELoss.
enum class ScoreKind : std::uint8_t {
    Logit,           ///< of classes any number (softmax gives probabilities); of one label log odds
    LogProbability,  ///< what Model::answers has for LabelKind::Class
    Probability,     ///< in [0, 1]
};

/// A row of scores and the right class for each of N samples, or tokens.
///
/// Shapes    scores [N, classes] f32, maybe with more rows, which count for nothing; labels [N] in
///           [0, classes)
struct ClassRows {
    std::span<const float> scores;
    std::span<const std::int32_t> labels;
    std::size_t classes = 0;
    ScoreKind kind = ScoreKind::LogProbability;

    [[nodiscard]] std::span<const float> row(std::size_t n) const {
        return scores.subspan(n * classes, classes);
    }

    [[nodiscard]] std::size_t label(std::size_t n) const {
        return static_cast<std::size_t>(labels[n]);
    }
};

/// Checks that all labels and the scores of their rows are possible.
/// Errors    BadValue, with the place: too few scores, a label outside [0, classes), a score that is
///           not finite, a probability outside [0, 1]
/// Thread    any
[[nodiscard]] Result<void> check_rows(const ClassRows& rows);

/// Checks scores alone.
/// Errors    BadValue, with the place: a score that is not finite, a probability outside [0, 1]
/// Thread    any
[[nodiscard]] Result<void> check_scores(std::span<const float> scores, ScoreKind kind);

/// Returns the cross entropy of row n, which is never below 0.
/// Units     nats
/// Requires  rows that have passed check_rows
/// Errors    none
/// Thread    any
[[nodiscard]] double cross_entropy(const ClassRows& rows, std::size_t n);

/// Returns the binary cross entropy of a score against a target, which is never below 0.
/// Units     nats
/// Requires  a score that has passed check_scores; a target in [0, 1]
/// Errors    none
/// Thread    any
[[nodiscard]] double binary_cross_entropy(float score, float target, ScoreKind kind);

/// Returns whether so many cross entropies can have this sum. No pair of scores of f32 costs more
/// than 2^130 nats.
/// Errors    none
/// Thread    any
[[nodiscard]] bool is_loss_of(const ExactSum& sum, double count);

/// Returns the log odds log(p / (1 - p)) of one score; an infinity for a probability of 0 or 1.
/// Requires  a score that has passed check_scores
/// Errors    none
/// Thread    any
[[nodiscard]] double log_odds(float score, ScoreKind kind);

/// Writes the log odds of each class against all others. Where p is near 1 it sums up the others, so
/// that no digit is lost.
///
/// Shapes    row [classes] f32; out [classes] f64
/// Requires  a row that has passed check_rows
/// Errors    none
/// Thread    any
void class_log_odds(std::span<const float> row, ScoreKind kind, std::span<double> out);

}  // namespace starling::compute
