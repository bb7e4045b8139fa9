#pragma once

#include <algorithm>
#include <cstddef>

#include "base/instant.hpp"

namespace starling {

/// Returns `first`, doubled so many times, and `most` at most.
[[nodiscard]] inline Duration doubled(Duration first, std::size_t times, Duration most) {
    while (times-- > 0 && first < most) first *= 2;
    return std::min(first, most);
}

}  // namespace starling
