#pragma once

// The task that a data set gives a model.

#include <cstdint>

#include "base/result.hpp"
#include "compute/values/task.hpp"
#include "data/manifest.hpp"

namespace starling::peer {

/// Checks that there is a kind of model for these labels.
/// Errors    Usage
[[nodiscard]] Result<void> check_learnable(const data::Manifest& manifest);

/// Returns the task of this data set: the shape of its samples, its number of classes,
/// and how many labels a sample has.
[[nodiscard]] compute::Task task_of(const data::Manifest& manifest);

/// Returns the number of samples in one evaluation batch, which is also one estimate while
/// training. A text gets fewer, because each of its windows has many labels, and so do pictures with
/// boxes, which are large.
[[nodiscard]] std::int64_t evaluation_batch(const data::Manifest& manifest);

}  // namespace starling::peer
