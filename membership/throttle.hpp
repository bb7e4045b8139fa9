#pragma once

// How many members one sender may make us suspect. Each false suspicion costs the whole swarm a
// refutation, so a liar that accuses everybody, again and again, must not get its way; whoever
// relays the news of a real disaster does, together with all the others who relay it.
//
// Source    a token bucket for each sender

#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "base/instant.hpp"
#include "membership/messages.hpp"

namespace starling::membership {

class Throttle {
public:
    /// Returns whether `sender` may raise one more suspicion in a swarm of `members`.
    bool admit(Instant now, const ShortId& sender, std::size_t members);

private:
    struct Use {
        double tokens = 0.0;  ///< used and not yet refilled
        Instant at;
    };

    std::unordered_map<std::uint64_t, Use> used_;  // looked up, never walked but to forget
};

}  // namespace starling::membership
