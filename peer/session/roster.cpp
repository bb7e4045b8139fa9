#include "peer/session/roster.hpp"

#include <algorithm>
#include <iterator>

namespace starling::peer {

Roster::Change Roster::update_partners(const SwarmView& view) {
    std::vector<PeerId> now;
    for (const auto& peer : view.training_peers()) now.push_back(peer.id);
    Change change;
    std::set_difference(
        now.begin(), now.end(), partners_.begin(), partners_.end(), std::back_inserter(change.up)
    );
    std::set_difference(
        partners_.begin(), partners_.end(), now.begin(), now.end(), std::back_inserter(change.down)
    );
    partners_ = std::move(now);
    return change;
}

bool Roster::update_duties(const SwarmView& view) {
    auto peers = view.training_peers();
    // The others count us only when we train. We count ourselves at once, so that our shards are
    // here by then. Until then their present owners train on them.
    peers.push_back({self_, 1});
    const bool same =
        std::equal(peers.begin(), peers.end(), peers_.begin(), peers_.end(), [](auto& a, auto& b) {
            return a.id == b.id && a.weight == b.weight;
        });
    if (same) return false;
    peers_ = std::move(peers);
    duties_ = data::duties_of(self_, peers_, manifest_, replicas_);
    return true;
}

}  // namespace starling::peer
