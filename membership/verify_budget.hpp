#pragma once

// How many signatures are checked in a second: one costs a hundred times what the rest of a message
// does, and whoever makes statements up pays nothing for them.
//
// Thread    the owner's

#include <algorithm>

#include "base/instant.hpp"

namespace starling::membership {

class VerifyBudget {
public:
    static constexpr double kPerSecond = 1000.0;
    static constexpr double kBurst = 4000.0;

    /// Returns whether one more may be checked now.
    bool take(Instant now) {
        used_ = std::max(0.0, used_ - to_seconds(now - at_) * kPerSecond);
        at_ = now;
        if (used_ + 1.0 > kBurst) return false;
        used_ += 1.0;
        return true;
    }

private:
    double used_ = 0.0;  ///< not yet refilled
    Instant at_{};
};

}  // namespace starling::membership
