#pragma once

// What an evaluation adds up for several rankings at once: of labels that may hold together, or of
// each class against the rest.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "compute/metrics/exact_sum.hpp"
#include "compute/metrics/ranking.hpp"
#include "compute/metrics/scores.hpp"

namespace starling::compute {

/// What the rankings of a tally are.
enum class Rankings : std::uint8_t {
    Labels,     ///< one for each of several labels, of which any number may hold at once
    OneVsRest,  ///< one for each class: its samples against all others
};

/// A ranking for each label or class, and the loss. Everything merges exactly, in any order. Each
/// ranking has bins_for(rankings) bins: 4,096 up to 16, and 256 from 256 on.
///
/// A mean (macro) is over the rankings that have a value, so a class that does not occur counts for
/// nothing; scikit-learn refuses such data or warns.
/// Thread    any, one at a time
class LabelsTally {
public:
    static constexpr std::size_t kRankingsMax = 1024;

    /// Requires  count in [1, kRankingsMax], and at least 2 for OneVsRest
    LabelsTally(Rankings rankings, std::size_t count);

    /// Adds samples of labels, all or none.
    ///
    /// Shapes    scores, targets [N, labels] f32; targets in [0, 1]
    /// Errors    BadValue: a tally of OneVsRest, shapes that do not fit, as check_scores, a target
    ///           outside [0, 1], too many samples in all
    [[nodiscard]] Result<void> add(
        std::span<const float> scores, std::span<const float> targets, ScoreKind kind
    );

    /// Adds rows of classes, all or none.
    /// Errors    BadValue: a tally of Labels, another number of classes, as check_rows, too many rows
    [[nodiscard]] Result<void> add(const ClassRows& rows);

    /// Errors    BadValue: another kind or number of rankings, too many samples; nothing was merged
    [[nodiscard]] Result<void> merge(const LabelsTally& other);

    [[nodiscard]] Rankings kind() const { return kind_; }

    [[nodiscard]] const std::vector<Ranking>& rankings() const { return rankings_; }

    /// Returns the number of samples.
    [[nodiscard]] std::uint64_t count() const;

    /// Returns the mean over all samples, of Labels also over all labels; empty without a sample.
    /// Units     nats
    [[nodiscard]] std::optional<double> loss() const;

    /// Returns the share of labels of samples on the right side of 0.5. Empty without a sample, and
    /// for OneVsRest, where a ClassTally knows the accuracy.
    [[nodiscard]] std::optional<double> accuracy() const;

    /// Return the mean of a quality over the rankings.
    [[nodiscard]] std::optional<double> macro_auc() const;
    [[nodiscard]] std::optional<double> macro_average_precision() const;
    [[nodiscard]] std::optional<double> macro_best_f1() const;

    void encode(ByteWriter& out) const;

    /// Reads what encode() writes, and takes no more memory than 0.1 MiB and a constant times the
    /// bytes.
    /// Errors    BadFormat: cut, out of range, or numbers that contradict each other
    [[nodiscard]] static Result<LabelsTally> decode(ByteReader& in);

    [[nodiscard]] bool operator==(const LabelsTally& other) const = default;

private:
    /// Returns how many losses are summed up.
    [[nodiscard]] double losses() const;
    [[nodiscard]] bool is_sound() const;

    Rankings kind_;
    std::vector<Ranking> rankings_;
    ExactSum loss_;
};

}  // namespace starling::compute
