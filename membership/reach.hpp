#pragma once

// Which members answer our probes, but never directly by UDP, and in which direction the datagrams
// vanish. Most flapping in the field is UDP blocked in one direction (serf issue 216), so it is
// told instead of leaving people to guess. Only members with missed direct probes cost memory.

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

    /// It answered a probe directly.
    void answered(const PeerId& peer) { doubtful_.erase(peer); }

    /// It answered `probe`, which is not open any more: if that was the last one that it missed, it
    /// is slow and not blocked.
    void answered_late(const PeerId& peer, std::uint64_t probe);

    /// It lives, by a helper's or a stream's word, but has not answered our datagram.
    void missed(const PeerId& peer, std::uint64_t probe);

    /// A datagram of its own arrived.
    void heard(const PeerId& peer);

    void forget(const PeerId& peer) { doubtful_.erase(peer); }

    /// Of a member that is silent, whether ours arrive there is unknown: `out` stays true.
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
