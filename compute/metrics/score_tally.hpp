#pragma once

// What an evaluation adds up where one score says how likely a sample is positive.

#include <cstdint>
#include <optional>
#include <span>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "compute/metrics/exact_sum.hpp"
#include "compute/metrics/ranking.hpp"
#include "compute/metrics/scores.hpp"

namespace starling::compute {

/// Positives and negatives by score, and the loss. Everything merges exactly, in any order. What the
/// bins cost is in ranking().
/// Thread    any, one at a time
class ScoreTally {
public:
    /// Adds samples, all or none. A target above 0.5 makes a sample a positive; the loss takes the
    /// target as it is.
    ///
    /// Shapes    scores [N] f32; targets [N] f32 in [0, 1]
    /// Errors    BadValue: numbers that differ, as check_scores, a target outside [0, 1], too many
    ///           samples in all
    [[nodiscard]] Result<void> add(
        std::span<const float> scores, std::span<const float> targets, ScoreKind kind
    );

    /// Adds rows of two classes, all or none: class 1 is positive.
    /// Errors    BadValue: not two classes, as check_rows, too many samples in all
    [[nodiscard]] Result<void> add(const ClassRows& rows);

    /// Errors    BadValue: too many samples in all; nothing was merged
    [[nodiscard]] Result<void> merge(const ScoreTally& other);

    [[nodiscard]] std::uint64_t count() const;

    /// Gives access to the curves of ranking.hpp: AUC, average precision, best F1 and their errors.
    [[nodiscard]] const Ranking& ranking() const { return ranking_; }

    /// Returns the mean cross entropy; empty without a sample.
    /// Units     nats
    [[nodiscard]] std::optional<double> loss() const;

    /// Returns the share of samples on the right side of 0.5; empty without a sample.
    [[nodiscard]] std::optional<double> accuracy() const;

    /// Returns the mean of the shares among positives and among negatives, where there are such.
    [[nodiscard]] std::optional<double> balanced_accuracy() const;

    void encode(ByteWriter& out) const;

    /// Reads what encode() writes, and takes no more memory than a constant times the bytes.
    /// Errors    BadFormat: cut, out of range, or numbers that contradict each other
    [[nodiscard]] static Result<ScoreTally> decode(ByteReader& in);

    [[nodiscard]] bool operator==(const ScoreTally& other) const = default;

private:
    Ranking ranking_;
    ExactSum loss_;
};

}  // namespace starling::compute
