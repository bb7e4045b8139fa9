#pragma once

// Copies a batch into the inputs of a plan, and checks it on the way: labels and values come from
// files and from strangers.

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.hpp"
#include "compute/values/batch.hpp"
#include "compute/values/task.hpp"

namespace starling::compute {

/// The inputs of a plan. The one of labels and targets that the kind of labels does not use is
/// empty.
struct BatchTarget {
    std::span<float> values;
    std::span<std::int32_t> labels;
    std::span<float> targets;
};

/// Thread    compute
class BatchInput {
public:
    /// `rows` says of each element of a sample how many rows of a table it chooses from, as
    /// table_rows() does. `capacity` samples have room in the plan, with `labels` labels or targets
    /// each.
    BatchInput(
        const Task& task, std::size_t capacity, std::size_t labels, std::vector<std::int64_t> rows
    );

    /// Copies the batch; the rest of the room becomes zeros with label 0, or without boxes. Returns the number of
    /// samples.
    ///
    /// Errors    BadValue, with the number of the sample and of the value in it: a field of a wrong
    ///           size, a label outside [0, classes), a number that is not finite, a target of
    ///           Classes outside [0, 1], a box that is none, a value that names no row of its table. What was copied
    ///           before means nothing
    [[nodiscard]] Result<std::size_t> copy(const Batch& batch, const BatchTarget& to) const;

    [[nodiscard]] std::size_t capacity() const { return capacity_; }

private:
    [[nodiscard]] Result<std::size_t> samples_of(const Batch& batch) const;
    [[nodiscard]] Result<void> copy_values(std::span<const float> from, std::span<float> to) const;
    [[nodiscard]] Result<void> copy_labels(
        std::span<const std::int32_t> from, std::span<std::int32_t> to
    ) const;
    [[nodiscard]] Result<void> copy_targets(std::span<const float> from, std::span<float> to) const;
    [[nodiscard]] Result<void> check_boxes(std::span<const float> rows) const;
    [[nodiscard]] Result<void> check_rows(std::span<const float> values) const;

    LabelKind kind_;
    std::int64_t classes_;
    std::size_t elements_;
    std::size_t capacity_;
    std::size_t labels_;  ///< labels or targets of a sample
    std::vector<std::int64_t> rows_;
};

}  // namespace starling::compute
