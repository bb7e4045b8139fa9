#include "peer/streams/strikes.hpp"

#include <algorithm>

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
    // Six doublings reach the bound; more would overflow in the end.
    const auto doublings = std::min<std::size_t>(past.strikes - kAllowed, 6);
    past.until = now + std::min(kBarredMax, (1 << doublings) * kBarred);
    return true;
}

bool Strikes::barred(Instant now, const PeerId& peer) const {
    const auto found = peers_.find(peer);
    return found != peers_.end() && now < found->second.until;
}

}  // namespace starling::peer
