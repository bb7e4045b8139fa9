#pragma once

// How long an exchange may take: the measured rate of the exchanges before it, and the deadlines
// that follow from it.

#include <cstddef>

#include "base/instant.hpp"
#include "gossip/config.hpp"

namespace starling::gossip {

class Pace {
public:
    explicit Pace(const AveragerConfig& config);

    /// An exchange of `bytes` payload, both directions, was committed after `elapsed`.
    void committed(std::size_t bytes, Duration elapsed);

    /// An accepted exchange ran out of time. The rate halves, so that on a link slower than assumed
    /// the deadlines grow until one exchange is through and can be measured.
    void timed_out();

    /// Units    payload bytes per second, both directions together
    [[nodiscard]] double rate() const { return rate_; }

    /// Returns how long an exchange of `bytes` may take: base + bytes / rate * slack.
    [[nodiscard]] Duration allowance(std::size_t bytes) const;

private:
    Duration base_;
    double slack_;
    double rate_;
};

}  // namespace starling::gossip
