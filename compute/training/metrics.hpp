#pragma once

// How good answers are: what a step and an evaluation report.

#include <cstdint>
#include <span>

#include "compute/values/batch.hpp"
#include "compute/values/eval_result.hpp"
#include "compute/values/task.hpp"

namespace starling::compute {

/// Returns how many of a batch's labels the answers have right; 0 for Numbers. Of several classes
/// with the same score the first one counts.
///
/// Shapes    answers [rows, classes] as Model::answers has them, with at least as many rows as the
///           batch has labels, or rows of targets
/// Errors    none
/// Thread    any
[[nodiscard]] std::uint64_t count_correct(
    const Task& task, std::span<const float> answers, const Batch& batch
);

/// Returns what EvalResult counts and sums over the batch. Answers beyond the batch count for
/// nothing.
/// Shapes    as count_correct
/// Errors    none
/// Thread    any
[[nodiscard]] EvalResult measure(
    const Task& task, std::span<const float> answers, const Batch& batch
);

}  // namespace starling::compute
