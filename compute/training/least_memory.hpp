#pragma once

// What a model costs before it is compiled. A descriptor comes from strangers, so a peer looks at
// this before it allocates anything.

#include <cstddef>

#include "base/result.hpp"
#include "compute/training/engine_options.hpp"

namespace starling::compute {

/// Builds the graphs of training and evaluation as Engine::create would, but compiles nothing.
/// Returns a lower bound of the bytes that the engine and its parameter store take together.
///
/// Errors    Usage, BadValue, Unsupported and the others of build_model and differentiate
/// Thread    any (pure)
[[nodiscard]] Result<std::size_t> least_memory(const EngineOptions& options);

}  // namespace starling::compute
