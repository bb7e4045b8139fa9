#pragma once

// How many samples of each peer count. A peer signs its own count, and may lie: one word of 2^62 would
// end a swarm whose target is a number of samples. So a count rises, from what it was when we first
// heard of the peer, at most so fast as others of that speed train: 2^weight times the median rate of
// the others. The weight is the peer's own word of its speed, which costs it shards if it is a lie
// (docs/decisions/0031). The bound is for lies and not for accounts: it leaves twice the rate.
//
// Thread    network

#include <cstdint>
#include <map>
#include <optional>

#include "base/ids.hpp"
#include "base/instant.hpp"
#include "peer/terms/swarm_view.hpp"

namespace starling::peer {

class SampleBound {
public:
    /// A peer counts twice what its speed and its time explain, and so many seconds of it at once.
    static constexpr double kSlack = 2.0;
    static constexpr double kBurstSeconds = 30.0;
    /// Whatever its word, a peer is at most so many times as fast as the others.
    static constexpr double kSpeedMax = 64.0;
    // One that has not said its speed yet, which takes half a minute, counts as fast as the others, with slack and burst up
    // to four times as fast. What a faster one has done by then counts as soon as it has said it, while a liar
    // that says nothing would otherwise end a short run alone.
    /// What a peer had when we first heard of it counts up to so many times the median of all.
    static constexpr double kHeadStartMax = 1024.0;

    /// Returns the samples of the whole swarm, with our own: no count of a peer falls.
    std::uint64_t count(Instant now, const SwarmView& view, std::uint64_t own);

private:
    struct Seen {
        Instant since;
        std::uint64_t at_first = 0;
        std::uint64_t counted = 0;
        bool present = true;  ///< in this view
    };

    void meet(Instant now, const SwarmView& view, std::uint64_t own);
    [[nodiscard]] static std::optional<double> rate_of(
        Instant now, const Seen& seen, std::uint64_t samples
    );
    [[nodiscard]] std::uint64_t head_start_max(const SwarmView& view, std::uint64_t own) const;

    std::optional<Seen> own_;
    std::map<PeerId, Seen> seen_;
    std::map<PeerId, double> usual_;  ///< the largest median rate of the others, of each peer
};

}  // namespace starling::peer
