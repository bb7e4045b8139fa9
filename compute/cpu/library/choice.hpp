#pragma once

// Finds which of several ways to the same result is the fastest on this machine, by running each a
// few times. The answer is remembered for the life of the process.

#include <cstddef>
#include <functional>
#include <span>
#include <string>

#include "compute/cpu/library/blas.hpp"
#include "compute/cpu/library/onednn.hpp"
#include "compute/cpu/library/sliced_gradient.hpp"
#include "compute/values/task.hpp"

namespace starling::compute::cpu {

/// Does the work once, on operands of its own. Returns false when the library refuses.
using Trial = std::function<bool()>;

/// Prepares a trial of one way to the result. The trial's operands cost memory, so it is prepared
/// only when it is to be measured.
using Candidate = std::function<Trial()>;

/// Return a candidate.
/// Requires  the argument outlives the candidate and its trial
[[nodiscard]] Candidate candidate_of(const Compiled& compiled);
[[nodiscard]] Candidate candidate_of(const BlasProduct& product);
[[nodiscard]] Candidate candidate_of(const SlicedGradient& gradient);

/// Returns the index of the fastest candidate, or zero without a stopwatch. Of two that are about
/// equal the earlier one wins. The first call for a key runs each candidate 4 to 40 times, for 20
/// ms together or for as long as 4 rounds take, and holds a lock of the process meanwhile.
///
/// Requires  candidates is not empty; `key` names the work, its shapes and the number of threads
/// Thread    any
[[nodiscard]] std::size_t fastest(
    const std::string& key, std::span<const Candidate> candidates, Stopwatch stopwatch
);

}  // namespace starling::compute::cpu
