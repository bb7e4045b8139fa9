#pragma once

// Who did not answer anything lately. A stream whose bytes are not acknowledged shows that large packets get
// lost on the way only if small ones came through meanwhile; behind a cut nothing does.
//
// Thread    network

#include <algorithm>
#include <cstddef>
#include <unordered_map>

#include "base/ids.hpp"
#include "base/instant.hpp"

namespace starling::peer {

class Silences {
public:
    /// The kernel gives a stream up after 20 s without an acknowledgement, and looks at doubling intervals.
    static constexpr Duration kLately = std::chrono::minutes(1);
    /// Peers that are remembered. Above it the one whose silence is oldest is forgotten.
    static constexpr std::size_t kPeersMax = 1024;

    /// Notes that a peer does not answer.
    void note(Instant now, const PeerId& peer) {
        if (peers_.size() >= kPeersMax && !peers_.contains(peer)) forget_oldest();
        peers_[peer] = now;
    }

    [[nodiscard]] bool lately(Instant now, const PeerId& peer) const {
        const auto found = peers_.find(peer);
        return found != peers_.end() && now - found->second < kLately;
    }

private:
    void forget_oldest() {
        peers_.erase(std::min_element(
            peers_.begin(),
            peers_.end(),
            [](const auto& a, const auto& b) { return a.second < b.second; }
        ));
    }

    std::unordered_map<PeerId, Instant> peers_;
};

}  // namespace starling::peer
