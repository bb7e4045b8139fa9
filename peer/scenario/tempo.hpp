#pragma once

// How fast things go on this machine, measured while all peers train and nothing has been done to them. Deadlines are
// multiplied by it: on a machine that does many other things at once a swarm is no worse, only slower. A machine
// without I/O.

#include <cstdint>
#include <optional>

#include "base/instant.hpp"
#include "peer/scenario/view.hpp"

namespace starling::scenario {

class Tempo {
public:
    /// Looks at the peers, which the driver means to do every kLook.
    void observe(Instant now, const View& view);

    /// Returns by how much things take longer here than on a machine that has time: from 1 to kSlownessMax. 1 before
    /// anything was seen.
    [[nodiscard]] double slowness() const;

    static constexpr Duration kLook = std::chrono::milliseconds(100);
    static constexpr double kSlownessMax = 10;

private:
    /// The longest time in which a sum did not rise.
    struct Gap {
        std::uint64_t sum = 0;
        std::optional<Instant> since;
        Duration longest{};

        void see(Instant now, std::uint64_t value);
    };

    Gap steps_;
    Gap exchanges_;
    std::optional<Instant> first_;
    Instant last_;
    std::uint64_t looks_ = 0;
};

}  // namespace starling::scenario
