#pragma once

// The only reader of the real clock.

#include "base/instant.hpp"

namespace starling::peer {

/// Returns the present on the project clock: steady, unaffected by changes of the wall clock.
[[nodiscard]] inline Instant real_now() {
    return Instant(
        std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch())
    );
}

}  // namespace starling::peer
