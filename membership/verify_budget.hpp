#pragma once

// How many signatures are checked in a second: one costs a hundred times what the rest of a message
// does, and whoever makes statements up pays nothing for them.
//
// Thread    the owner's

#include "base/rate_limit.hpp"

namespace starling::membership {

class VerifyBudget : public RateLimit {
public:
    static constexpr double kPerSecond = 1000.0;
    static constexpr double kBurst = 4000.0;

    VerifyBudget() : RateLimit(kPerSecond, kBurst) {}
};

}  // namespace starling::membership
