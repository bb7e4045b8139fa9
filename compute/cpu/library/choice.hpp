#pragma once

// Which of several ways to the same result is the fastest here: found by running each a few times,
// remembered for the life of the process.

#include <cstddef>
#include <functional>
#include <span>
#include <string>

#include "compute/cpu/library/blas.hpp"
#include "compute/cpu/library/onednn.hpp"
#include "compute/cpu/library/sliced_gradient.hpp"
#include "compute/values/task.hpp"

namespace starling::compute::cpu {

/// Does the work once, on operands of its own; false when the library refuses.
using Trial = std::function<bool()>;

/// One way to the result. Its operands cost memory and are made only when it is measured.
using Candidate = std::function<Trial()>;

/// What they describe must outlive the candidate and its trial.
[[nodiscard]] Candidate candidate_of(const Compiled& compiled);
[[nodiscard]] Candidate candidate_of(const BlasProduct& product);
[[nodiscard]] Candidate candidate_of(const SlicedGradient& gradient);

/// Returns the index of the fastest candidate; zero without a stopwatch. An earlier one wins where
/// two are about equal.
///
/// Requires  candidates is not empty; `key` names the work, its shapes and the number of threads
/// Thread    any
[[nodiscard]] std::size_t fastest(
    const std::string& key, std::span<const Candidate> candidates, Stopwatch stopwatch
);

}  // namespace starling::compute::cpu
