#pragma once

// Time inside the machines: a steady project clock that cannot be read, only passed as an argument.
// peer/clock.hpp reads the real one; peer/virtual/ invents it.

#include <chrono>

namespace starling {

/// The clock of `Instant`. It has no now() on purpose: a machine that could read time could not be
/// replayed.
struct ProjectClock {
    using rep = std::int64_t;
    using period = std::nano;
    using duration = std::chrono::nanoseconds;
    using time_point = std::chrono::time_point<ProjectClock, duration>;
    static constexpr bool is_steady = true;
};

using Duration = ProjectClock::duration;
using Instant = ProjectClock::time_point;

/// Returns a duration as seconds, for logs and statistics.
[[nodiscard]] constexpr double to_seconds(Duration d) {
    return std::chrono::duration<double>(d).count();
}

/// Returns `seconds` as a duration, rounded towards zero.
[[nodiscard]] constexpr Duration from_seconds(double seconds) {
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

}  // namespace starling
