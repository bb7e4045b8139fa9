#include "membership/reach.hpp"

namespace starling::membership {

namespace {

/// Direct probes missed in a row that mean a block and not loss: at 5 % loss one in a thousand.
constexpr std::uint32_t kMissesOfABlock = 3;

}  // namespace

void Reach::answered_late(const PeerId& peer, std::uint64_t probe) {
    const auto found = doubtful_.find(peer);
    if (found != doubtful_.end() && found->second.last_probe == probe) doubtful_.erase(found);
}

void Reach::missed(const PeerId& peer, std::uint64_t probe) {
    auto& doubt = doubtful_[peer];
    doubt.last_probe = probe;
    if (doubt.misses < kMissesOfABlock) ++doubt.misses;
}

void Reach::heard(const PeerId& peer) {
    if (doubtful_.empty()) return;
    const auto found = doubtful_.find(peer);
    if (found != doubtful_.end()) found->second.heard = true;
}

Reach::Directions Reach::directions(const PeerId& peer) const {
    const auto found = doubtful_.find(peer);
    if (found == doubtful_.end() || found->second.misses < kMissesOfABlock) return {};
    return {!found->second.heard, found->second.heard};
}

}  // namespace starling::membership
