#include "gossip/weight_claims.hpp"

#include <algorithm>

namespace starling::gossip {

bool WeightClaims::note(Instant now, const PeerId& partner, std::int8_t log2) {
    auto claim = std::find_if(claims_.begin(), claims_.end(), [&](const Claim& known) {
        return known.partner == partner;
    });
    if (claim == claims_.end()) {
        if (claims_.size() >= kClaimsMax) {
            claims_.erase(std::min_element(
                claims_.begin(),
                claims_.end(),
                [](const Claim& one, const Claim& other) { return one.heard < other.heard; }
            ));
        }
        claims_.push_back({partner, log2, true, now, now});
        return true;
    }
    claim->heard = now;
    claim->believed = claim->log2 == log2 || now + kWeightChangeEvery >= claim->next;
    if (claim->believed && claim->log2 != log2) {
        claim->log2 = log2;
        claim->next = std::max(now, claim->next) + kWeightChangeEvery;
    }
    return claim->believed;
}

std::optional<std::int8_t> WeightClaims::of(const PeerId& partner) const {
    const auto* claim = find(partner);
    if (claim == nullptr || !claim->believed) return std::nullopt;
    return claim->log2;
}

bool WeightClaims::distrusts(const PeerId& partner) const {
    const auto* claim = find(partner);
    return claim != nullptr && !claim->believed;
}

const WeightClaims::Claim* WeightClaims::find(const PeerId& partner) const {
    const auto found = std::find_if(claims_.begin(), claims_.end(), [&](const Claim& known) {
        return known.partner == partner;
    });
    return found == claims_.end() ? nullptr : &*found;
}

}  // namespace starling::gossip
