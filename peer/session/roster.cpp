#include "peer/session/roster.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/planted_fault.hpp"
#include "peer/session/speed.hpp"

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

bool Roster::update_duties(
    const SwarmView& view,
    std::optional<std::int16_t> own_speed,
    std::optional<std::uint64_t> rotation
) {
    auto peers = view.training_peers();
    // The others count us only when we train. We count ourselves at once, so that our shards are
    // here by then. Until then their present owners train on them.
    peers.push_back({self_, own_speed});
    const bool turns =
        rotation && share_.shares != nullptr && (share_stays_ || *rotation != rotation_);
    if (peers == peers_ && !turns) return false;
    if (peers.size() < peers_.size() && planted(PlantedFault::ShardsNotTakenOver)) return false;
    before_ = std::exchange(peers_, std::move(peers));
    share_stays_ = !rotation;
    if (rotation && share_.shares != nullptr) {
        rotation_ = *rotation;
        std::vector<PeerId> ids;
        for (const auto& peer : peers_) ids.push_back(peer.id);
        share_.portions = share_.shares->share_of(self_, ids, rotation_);
    }
    duties_ = data::duties_of(self_, weigh(peers_), manifest_, replicas_, share_);
    return true;
}

}  // namespace starling::peer
