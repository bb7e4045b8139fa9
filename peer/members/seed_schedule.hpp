#pragma once

// The addresses to dial because somebody named them: the seeds of --join and the members of the
// last life. They are dialled for ever, at growing intervals, unless their peers are known to be
// alive. Without this, two newcomers that meet while they are cut off would know nobody else, and
// nobody else would look for them.
//
// Thread    network; no I/O, time and random numbers are arguments

#include <functional>
#include <map>
#include <vector>

#include "base/endpoint.hpp"
#include "base/instant.hpp"
#include "base/rng.hpp"

namespace starling::peer {

/// Most addresses kept; more seeds than that help nobody.
inline constexpr std::size_t kSeedsMax = 256;

class SeedSchedule {
public:
    explicit SeedSchedule(Rng rng) : rng_(rng) {}

    /// Adds an address that is due at once. Does nothing when it is known, or above kSeedsMax.
    void add(Instant now, const Endpoint& address);

    /// Returns the addresses to dial now, at most eight, and plans the next dial of each. An
    /// address whose peer `alive` reports is not dialled but checked again later; from then on its
    /// intervals are those of a new address.
    std::vector<Endpoint> take_due(Instant now, const std::function<bool(const Endpoint&)>& alive);

    /// Returns when to call take_due again.
    /// Requires  at least one address
    [[nodiscard]] Instant next() const;

    [[nodiscard]] bool empty() const { return plans_.empty(); }

    [[nodiscard]] std::size_t size() const { return plans_.size(); }

private:
    struct Plan {
        Instant due;
        Duration wait{};   ///< before jitter
        bool met = false;  ///< it was alive once
    };

    [[nodiscard]] Duration jittered(Duration wait);

    Rng rng_;
    std::map<Endpoint, Plan> plans_;
};

}  // namespace starling::peer
