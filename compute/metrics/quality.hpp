#pragma once

// How good a model is, as one number with a name: what a goal asks for and a record keeps.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace starling::compute {

enum class QualityKind : std::uint8_t {
    Accuracy,  ///< share of right answers
    Auc,       ///< area under the ROC curve; of several labels or classes the mean
    Ap,        ///< average precision; of several labels or classes the mean
    F1,        ///< of several classes the mean; of scores the best over all thresholds
    Map50,     ///< mean average precision of boxes at an overlap of 0.5
    Map,       ///< the same over overlaps from 0.5 to 0.95
    Bpb,       ///< bits per byte of text
    Loss,      ///< mean cross entropy in nats, or mean squared error
    Balanced,  ///< mean recall over classes
    Mae,       ///< mean absolute error
};

inline constexpr QualityKind kQualityKindLast = QualityKind::Mae;

/// Returns the kind as users write it: accuracy, auc, ap, f1, map50, map, bpb, loss, balanced, mae.
/// Errors    none
/// Thread    any
[[nodiscard]] std::string_view to_string(QualityKind kind);

/// Parses what to_string returns.
/// Errors    Usage; it lists the kinds
/// Thread    any
[[nodiscard]] Result<QualityKind> parse_quality_kind(std::string_view text);

/// Returns whether a better model has a higher value. Such values are in [0, 1]; the others are
/// errors from 0 on.
/// Errors    none
/// Thread    any
[[nodiscard]] bool higher_is_better(QualityKind kind);

struct Quality {
    QualityKind kind = QualityKind::Accuracy;
    double value = 0.0;

    /// Returns whether a model of this quality has reached the goal.
    /// Requires  equal kinds
    [[nodiscard]] bool reaches(const Quality& goal) const;

    [[nodiscard]] bool operator==(const Quality& other) const = default;
};

/// Returns `auc=0.78`, with the shortest number that reads back as the same.
/// Errors    none
/// Thread    any
[[nodiscard]] std::string to_string(const Quality& quality);

/// Parses what to_string returns.
/// Errors    Usage: an unknown kind, no number, or one that such a quality cannot have
/// Thread    any
[[nodiscard]] Result<Quality> parse_quality(std::string_view text);

}  // namespace starling::compute
