#pragma once

// Which of several ways to the same result is the fastest here: found by running each a few times,
// remembered for the life of the process.

#include <functional>
#include <span>
#include <string>

#include "compute/cpu/blas.hpp"
#include "compute/cpu/onednn.hpp"
#include "compute/engine.hpp"

namespace starling::compute::cpu {

/// Returns the index of the fastest candidate, where `blas`, if not nullptr, stands behind the
/// primitives; zero without a stopwatch.
///
/// Requires  candidates is not empty; `key` names the work, its shapes and the number of threads
/// Thread    any
[[nodiscard]] std::size_t fastest(
    const std::string& key,
    std::span<const Compiled> candidates,
    const BlasProduct* blas,
    Stopwatch stopwatch
);

}  // namespace starling::compute::cpu
