#pragma once

// Notices that the table of another member stays different from ours. Rumours miss a few members of
// a large swarm whenever many of them are about; digests in pings and acks show it, and one full
// exchange mends it, seconds before the next regular one would.
//
// A difference alone means nothing: news is always on its way somewhere. So one member that
// differed is asked again each period, and only when neither digest moves any more, or when they
// have moved apart for long, do we spend a full exchange on it.

#include <cstdint>
#include <optional>

#include "base/ids.hpp"
#include "base/instant.hpp"

namespace starling::membership {

class Agreement {
public:
    /// A member told its digest while ours was `ours`.
    void hear(const PeerId& peer, std::uint64_t theirs, std::uint64_t ours);

    /// Returns whom to ask for its digest once more in this period, if anybody.
    [[nodiscard]] std::optional<PeerId> ask_again();

    /// Returns with whom a full exchange is due. `gap` is the shortest time between two of them;
    /// it doubles each time that one did not change our own digest `ours`.
    [[nodiscard]] std::optional<PeerId> take_due(Instant now, std::uint64_t ours, Duration gap);

    /// True when the last member that told its digest had ours.
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
