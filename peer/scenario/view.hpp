#pragma once

// What the driver of a scenario sees of its peers. The plan and the judge are functions of these
// plain values and of the time, whoever runs the peers.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace starling::scenario {

struct PeerSeen {
    bool started = false;
    bool running = false;  ///< its process exists
    bool paused = false;   ///< it was stopped by a fault
    bool leaving = false;  ///< it was told to end, and its process may still exist
    bool ended = false;    ///< it has trained to the common end
    bool trains = false;
    std::string state;        ///< its own word for what it does
    std::uint64_t steps = 0;  ///< of its present life
    std::uint64_t exchanges = 0;
    std::uint64_t shards = 0;     ///< training shards that are its duty
    std::size_t members = 0;      ///< whom it lists as alive, itself included
    std::uint64_t bytes = 0;      ///< sent on streams
    std::uint64_t memory = 0;     ///< bytes that its process has in memory; 0: not known
    std::size_t descriptors = 0;  ///< that its process has open; 0: not known
    bool ghost = false;           ///< it stands outside the sum (gossip/averager.hpp)
    double spread = 0;
    std::optional<double> accuracy;
    std::optional<double> loss;

    /// Returns whether it should take part now.
    [[nodiscard]] bool active() const { return running && !paused && !leaving && !ended; }
};

struct View {
    std::vector<PeerSeen> peers;  ///< peer i has place i - 1

    [[nodiscard]] std::size_t active() const {
        return static_cast<std::size_t>(
            std::count_if(peers.begin(), peers.end(), [](const auto& p) { return p.active(); })
        );
    }

    /// Returns whether there is an active peer and each one satisfies the predicate.
    template <class Predicate>
    [[nodiscard]] bool all_active(Predicate holds) const {
        return active() > 0 && std::all_of(peers.begin(), peers.end(), [&](const PeerSeen& peer) {
                   return !peer.active() || holds(peer);
               });
    }

    /// Returns whether each active peer lists as many members as there are active peers.
    [[nodiscard]] bool whole() const {
        return all_active([n = active()](const PeerSeen& peer) { return peer.members == n; });
    }
};

}  // namespace starling::scenario
