#pragma once

// How often something may happen: so many times a second, and so many at once after a rest (a token bucket).
//
// Thread    the owner's

#include <algorithm>
#include <chrono>

#include "base/instant.hpp"

namespace starling {

class RateLimit {
public:
    /// It is full at first.
    RateLimit(double per_second, double at_once)
        : per_second_(per_second),
          at_once_(at_once),
          tokens_(at_once) {}

    /// Takes a token, if there is one.
    [[nodiscard]] bool take(Instant now) {
        refill(now);
        if (tokens_ < 1.0) return false;
        tokens_ -= 1.0;
        return true;
    }

    /// Gives one back: the event was not what the bucket limits.
    void give_back() { tokens_ = std::min(at_once_, tokens_ + 1.0); }

    /// Returns when there is a token.
    [[nodiscard]] Instant next(Instant now) {
        refill(now);
        if (tokens_ >= 1.0) return now;
        // A little later than exact, so that rounding leaves no gap.
        return now + from_seconds((1.0 - tokens_) / per_second_) + std::chrono::milliseconds(1);
    }

    /// Returns whether it is as full as at the beginning.
    [[nodiscard]] bool full(Instant now) {
        refill(now);
        return tokens_ >= at_once_;
    }

private:
    void refill(Instant now) {
        if (now > at_) {
            tokens_ = std::min(at_once_, tokens_ + per_second_ * to_seconds(now - at_));
        }
        at_ = std::max(at_, now);
    }

    double per_second_;
    double at_once_;
    double tokens_;
    Instant at_{};
};

}  // namespace starling
