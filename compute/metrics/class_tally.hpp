#pragma once

// What an evaluation adds up where each sample has one class.

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "compute/metrics/exact_sum.hpp"
#include "compute/metrics/scores.hpp"

namespace starling::compute {

/// How one class fared. A number is empty where it would be 0 / 0.
struct ClassQuality {
    std::uint64_t truths = 0;       ///< samples of the class
    std::uint64_t predictions = 0;  ///< samples that were taken for it
    std::uint64_t hits = 0;         ///< those that are both
    std::optional<double> precision;
    std::optional<double> recall;
    std::optional<double> f1;
};

/// Counts and loss, and up to kConfusionMax classes the confusion matrix; with more classes only
/// truths, predictions and hits of each class. Everything merges exactly, in any order. Memory grows
/// with the cells that occur, and not with the number of classes.
///
/// Of several classes with the same score the first one counts, as in count_correct.
/// Thread    any, one at a time
class ClassTally {
public:
    static constexpr std::size_t kConfusionMax = 256;
    static constexpr std::size_t kClassesMax = std::size_t{1} << 20U;

    /// Requires  classes in [1, kClassesMax]
    explicit ClassTally(std::size_t classes);

    /// Adds rows, all or none.
    /// Errors    BadValue: other classes than the tally's, or as check_rows, or too many rows in all
    [[nodiscard]] Result<void> add(const ClassRows& rows);

    /// Errors    BadValue: another number of classes, or too many rows in all; nothing was merged
    [[nodiscard]] Result<void> merge(const ClassTally& other);

    [[nodiscard]] std::size_t classes() const { return classes_; }

    [[nodiscard]] std::uint64_t count() const { return count_; }

    [[nodiscard]] std::uint64_t correct() const { return correct_; }

    /// Returns how many rows have their label among the five best scores.
    [[nodiscard]] std::uint64_t top5() const { return top5_; }

    /// Returns how many samples of class `truth` were taken for class `prediction`.
    /// Requires  at most kConfusionMax classes
    [[nodiscard]] std::uint64_t confusion(std::size_t truth, std::size_t prediction) const;

    /// Return a mean over all rows; empty without a row.
    /// Units     loss in nats
    [[nodiscard]] std::optional<double> loss() const;
    [[nodiscard]] std::optional<double> accuracy() const;
    [[nodiscard]] std::optional<double> top5_accuracy() const;

    /// Returns the mean recall over the classes that occur.
    /// Source    scikit-learn, balanced_accuracy_score
    [[nodiscard]] std::optional<double> balanced_accuracy() const;

    /// Returns the mean F1 over the classes that occur or were predicted.
    /// Source    scikit-learn, f1_score with average="macro"
    [[nodiscard]] std::optional<double> macro_f1() const;

    /// Returns how one class fared.
    /// Requires  class < classes()
    [[nodiscard]] ClassQuality quality_of(std::size_t one_class) const;

    void encode(ByteWriter& out) const;

    /// Reads what encode() writes, and takes no more memory than a constant times the bytes.
    /// Errors    BadFormat: cut, out of range, or counts that contradict each other
    [[nodiscard]] static Result<ClassTally> decode(ByteReader& in);

    [[nodiscard]] bool operator==(const ClassTally& other) const = default;

private:
    struct Tallied {
        std::uint64_t truths = 0;
        std::uint64_t predictions = 0;
        std::uint64_t hits = 0;

        [[nodiscard]] bool operator==(const Tallied& other) const = default;
    };

    [[nodiscard]] bool has_confusion() const { return classes_ <= kConfusionMax; }

    void enter(std::size_t truth, std::size_t prediction, std::uint64_t times);
    void take_cells(ByteReader& in);
    void take_classes(ByteReader& in);

    std::size_t classes_;
    std::uint64_t count_ = 0;
    std::uint64_t correct_ = 0;
    std::uint64_t top5_ = 0;
    ExactSum loss_;
    /// truth * classes + prediction -> samples. Empty with too many classes.
    std::map<std::uint32_t, std::uint64_t> cells_;
    /// The classes that occur or were predicted.
    std::map<std::uint32_t, Tallied> tallied_;
};

}  // namespace starling::compute
