#pragma once

// How much memory this process may have.

#include <cstddef>

namespace starling::peer {

/// Returns the bytes of memory and swap that this machine has, or fewer where a control group or a
/// resource limit says so.
/// Thread    any
[[nodiscard]] std::size_t memory_limit();

}  // namespace starling::peer
