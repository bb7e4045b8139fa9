#pragma once

// Which members answer our probes, but never directly by UDP, and in which direction the datagrams
// vanish. Most flapping in the field is UDP blocked in one direction (serf issue 216), so we report
// the block and leave nobody to guess. Only members with missed direct probes cost memory.

#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "base/ids.hpp"

namespace starling::membership {

class Reach {
public:
    /// What works between us and one member, as far as we can tell.
    struct Directions {
        bool out = true;  ///< our datagrams seem to arrive there
        bool in = true;   ///< its datagrams arrive here
    };

    /// The member answered a probe directly.
    void answered(const PeerId& peer) { doubtful_.erase(peer); }

    /// The member answered `probe` after that was closed. If it was the last probe that the member
    /// missed, the member is slow and not blocked.
    void answered_late(const PeerId& peer, std::uint64_t probe);

    /// A helper or a stream says that the member lives, but it has not answered our datagram.
    void missed(const PeerId& peer, std::uint64_t probe);

    /// A datagram of the member arrived.
    void heard(const PeerId& peer);

    void forget(const PeerId& peer) { doubtful_.erase(peer); }

    /// Returns the directions that work. Whether ours reach a member that is silent is unknown:
    /// then `out` stays true.
    [[nodiscard]] Directions directions(const PeerId& peer) const;

    [[nodiscard]] std::size_t size() const { return doubtful_.size(); }

private:
    struct Doubt {
        std::uint64_t last_probe = 0;
        std::uint32_t misses = 0;  ///< in a row
        bool heard = false;        ///< since the first of them
    };

    std::unordered_map<PeerId, Doubt> doubtful_;  // looked up, never walked
};

}  // namespace starling::membership
