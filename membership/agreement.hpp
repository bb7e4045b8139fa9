#pragma once

// Notices when the table of another member stays different from ours. While many rumours are about
// in a large swarm, they miss a few members. Digests in pings and acks show that, and one full
// exchange mends it, seconds before the next regular one would.
//
// A difference alone means nothing: news is always on its way somewhere. So in each
// period we ask one member that differed for its digest once more. We spend a full exchange on it
// only when neither digest moves any more, or when both have moved for long and still differ.

#include <cstdint>
#include <optional>

#include "base/ids.hpp"
#include "base/instant.hpp"

namespace starling::membership {

class Agreement {
public:
    /// A member told its digest while ours was `ours`.
    void hear(const PeerId& peer, std::uint64_t theirs, std::uint64_t ours);

    /// Returns the member to ask for its digest once more in this period, if there is one.
    [[nodiscard]] std::optional<PeerId> ask_again();

    /// Returns the member with which a full exchange is due. `gap` is the shortest time between two
    /// exchanges; it doubles each time that one did not change our own digest `ours`.
    [[nodiscard]] std::optional<PeerId> take_due(Instant now, std::uint64_t ours, Duration gap);

    /// True when the last digest that we heard was ours.
    [[nodiscard]] bool calm() const { return calm_ && !difference_; }

private:
    /// The difference that is being watched, one at a time.
    struct Difference {
        PeerId peer;
        std::uint64_t theirs = 0;
        std::uint64_t ours = 0;
        int stood_still = 0;
        int moved = 0;
        int asked = 0;
    };

    [[nodiscard]] static bool persists(const Difference& difference);

    std::optional<Difference> difference_;
    std::uint64_t last_ours_ = 0;
    int fruitless_ = 0;
    bool calm_ = false;
    Instant not_before_{};
};

}  // namespace starling::membership
