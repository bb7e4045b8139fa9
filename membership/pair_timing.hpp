#pragma once

// How long one member takes to answer. A swarm's members are next door and on the other side of the
// earth, so one wait for all would be too short for some and too long for others. There is one of these
// in each entry of the table, hence three bytes.

#include <array>
#include <cstdint>

#include "base/instant.hpp"

namespace starling::membership {

/// Thread    none of its own; used by Swim only
class PairTiming {
public:
    /// Adds one measured round trip; above 30 s it counts as 30 s.
    void sample(Duration round_trip);

    [[nodiscard]] bool known() const { return mean_units() != 0; }

    /// Requires  known()
    [[nodiscard]] Duration mean() const;

    /// Returns how long a direct answer takes at most, nearly always.
    ///
    /// Requires  known()
    /// Source    Jacobson and Karels, "Congestion Avoidance and Control", 1988: mean + 4 deviations,
    ///           gains 1/8 and 1/4. We keep the mean to half a millisecond and the deviation to 4 %.
    [[nodiscard]] Duration timeout() const;

private:
    [[nodiscard]] unsigned mean_units() const {
        return static_cast<unsigned>(packed_[0]) | static_cast<unsigned>(packed_[1]) << 8U;
    }

    [[nodiscard]] double deviation() const;
    void set(double mean, double deviation);

    /// The mean in units of half a millisecond, low byte first, 0 while nothing is known; and 16 times
    /// the binary logarithm of the deviation in these units.
    std::array<std::uint8_t, 3> packed_{};
};

}  // namespace starling::membership
