#include "peer/streams/strikes.hpp"

#include <algorithm>

#include "base/doubled.hpp"

namespace starling::peer {

bool Strikes::strike(Instant now, const PeerId& peer) {
    if (peers_.size() >= kPeersMax && !peers_.contains(peer)) {
        peers_.erase(std::min_element(
            peers_.begin(),
            peers_.end(),
            [](const auto& a, const auto& b) { return a.second.last < b.second.last; }
        ));
    }
    auto& past = peers_[peer];
    if (now - past.last > kBarredMax) past.strikes = 0;
    past.last = now;
    if (++past.strikes < kAllowed) return false;
    past.until = now + doubled(kBarred, past.strikes - kAllowed, kBarredMax);
    return true;
}

bool Strikes::barred(Instant now, const PeerId& peer) const {
    const auto found = peers_.find(peer);
    return found != peers_.end() && now < found->second.until;
}

}  // namespace starling::peer
