#pragma once

// Who has broken the protocol, as its own signature on the stream shows. Three times bar a peer for a
// minute, and each further time doubles that. A peer that keeps the peace for as long as the longest bar is
// forgiven. What breaks off, or says nothing, is no breach: links do that, too.
//
// Thread    network

#include <cstddef>
#include <unordered_map>

#include "base/ids.hpp"
#include "base/instant.hpp"

namespace starling::peer {

class Strikes {
public:
    static constexpr std::size_t kAllowed = 3;
    static constexpr Duration kBarred = std::chrono::minutes(1);
    static constexpr Duration kBarredMax = std::chrono::hours(1);
    /// Peers that are remembered. Above it the one whose last strike is oldest is forgotten.
    static constexpr std::size_t kPeersMax = 1024;

    /// Returns whether the peer is barred now.
    bool strike(Instant now, const PeerId& peer);

    [[nodiscard]] bool barred(Instant now, const PeerId& peer) const;

private:
    struct Past {
        std::size_t strikes = 0;
        Instant last{};
        Instant until{};  ///< barred until then
    };

    std::unordered_map<PeerId, Past> peers_;
};

}  // namespace starling::peer
