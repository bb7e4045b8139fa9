#pragma once

// The result of an evaluation as plain sums, so that parts of a test set can be added up.

#include <cstdint>

namespace starling::compute {

/// What is counted depends on the kind of labels: for Class each sample, or each token of a text;
/// for Classes each label of each sample; for Numbers each number of each sample; for Boxes each box,
/// and a batch without any counts as one. Weights of
/// classes and the beta of smooth L1 shape training alone, so that losses of different settings
/// compare.
struct EvalResult {
    /// The sum of cross entropies, of binary cross entropies, of squared errors, or of what a
    /// detector is trained by.
    double loss_sum = 0.0;
    /// The right ones: of Classes those on the right side of a probability of 0.5.
    std::uint64_t correct = 0;
    std::uint64_t samples = 0;  ///< how many are counted
    double absolute_sum = 0.0;  ///< the sum of absolute errors of Numbers
    bool has_accuracy = true;   ///< false for Numbers and Boxes, never just right or wrong

    EvalResult& operator+=(const EvalResult& other) {
        loss_sum += other.loss_sum;
        correct += other.correct;
        samples += other.samples;
        absolute_sum += other.absolute_sum;
        has_accuracy = has_accuracy && other.has_accuracy;
        return *this;
    }

    /// Means nothing without has_accuracy.
    [[nodiscard]] double accuracy() const {
        return samples == 0 ? 0.0 : static_cast<double>(correct) / static_cast<double>(samples);
    }

    /// Returns the mean; of Numbers it is the mean squared error.
    [[nodiscard]] double loss() const {
        return samples == 0 ? 0.0 : loss_sum / static_cast<double>(samples);
    }

    /// Returns the mean absolute error of Numbers.
    [[nodiscard]] double absolute_error() const {
        return samples == 0 ? 0.0 : absolute_sum / static_cast<double>(samples);
    }
};

}  // namespace starling::compute
