#pragma once

// The only reader of the real clock.

#include <ctime>

#include "base/instant.hpp"

namespace starling::peer {

/// Returns the present on the project clock: steady, unaffected by changes of the wall clock.
[[nodiscard]] inline Instant real_now() {
    return Instant(
        std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch())
    );
}

/// Returns the processor time that the calling thread has used in its life.
[[nodiscard]] inline Duration thread_cpu_time() {
    timespec used{};
    (void)::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);  // fails for no clock that exists
    return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

}  // namespace starling::peer
