#pragma once

// Time inside the state machines: a steady clock that nobody can read; callers pass its instants.
// peer/machine/clock.hpp takes them from the real clock, peer/virtual/ from its simulated time.

#include <chrono>

namespace starling {

/// The clock of `Instant`. It has no now() on purpose: a state machine that reads the time itself
/// cannot be replayed.
struct ProjectClock {
    using rep = std::int64_t;
    using period = std::nano;
    using duration = std::chrono::nanoseconds;
    using time_point = std::chrono::time_point<ProjectClock, duration>;
    static constexpr bool is_steady = true;
};

using Duration = ProjectClock::duration;
using Instant = ProjectClock::time_point;

/// Returns a duration in seconds, for logs and statistics.
[[nodiscard]] constexpr double to_seconds(Duration d) {
    return std::chrono::duration<double>(d).count();
}

/// Returns `seconds` as a duration, rounded towards zero.
[[nodiscard]] constexpr Duration from_seconds(double seconds) {
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

}  // namespace starling
