#pragma once

// How many threads this machine runs at once.

#include <algorithm>
#include <thread>

namespace starling::peer {

/// Returns the number of cores that this process sees, one at least.
[[nodiscard]] inline std::size_t core_count() {
    return std::max(1U, std::thread::hardware_concurrency());
}

}  // namespace starling::peer
