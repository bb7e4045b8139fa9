#pragma once

// Which of several primitives for the same work is the fastest here: found by running each once,
// remembered for the life of the process.

#include <span>
#include <string>

#include "compute/cpu/onednn.hpp"
#include "compute/engine.hpp"

namespace starling::compute::cpu {

/// Returns the index of the fastest candidate; the first without a stopwatch.
///
/// Requires  candidates is not empty; `key` names the work, its shapes and the number of threads
/// Thread    any
[[nodiscard]] std::size_t fastest(
    const std::string& key, std::span<const Compiled> candidates, Stopwatch stopwatch
);

}  // namespace starling::compute::cpu
