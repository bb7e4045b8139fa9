#pragma once

// Whom to dial because somebody named them: the seeds of --join and the members of the last life.
// They are dialled for ever, ever less often, unless they are known to be alive: two newcomers that
// meet behind a cut know nobody else, and nobody else looks for them.
//
// Thread    network; no I/O, time and luck are arguments

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

    /// Adds an address, due at once; nothing happens when it is known.
    void add(Instant now, const Endpoint& address);

    /// Returns the addresses to dial now, at most a few at a time, and plans each one's next turn.
    /// Those that `alive` says live are looked at again later, at the pace of a fresh address.
    std::vector<Endpoint> take_due(Instant now, const std::function<bool(const Endpoint&)>& alive);

    /// Returns when to call take_due again. Requires at least one address.
    [[nodiscard]] Instant next() const;

    [[nodiscard]] bool empty() const { return plans_.empty(); }

    [[nodiscard]] std::size_t size() const { return plans_.size(); }

private:
    struct Plan {
        Instant due;
        Duration wait{};  ///< before jitter
    };

    [[nodiscard]] Duration jittered(Duration wait);

    Rng rng_;
    std::map<Endpoint, Plan> plans_;
};

}  // namespace starling::peer
