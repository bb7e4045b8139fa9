#pragma once

// Peers that introduce themselves on streams, for tests that need several.

#include <cstdint>

#include "peer/crypto/identity.hpp"
#include "peer/crypto/notary.hpp"
#include "peer/streams/greeting.hpp"

namespace starling::peer {

/// Returns how a new peer introduces itself to the open swarm whose id is all `swarm`; to one that it
/// does not know yet if that is 0.
inline Introduction new_introduction(std::uint8_t swarm, std::uint64_t process = 0) {
    const auto identity = ephemeral_identity();
    Introduction introduction;
    introduction.ours.id = identity.id;
    introduction.ours.swarm.bytes.fill(swarm);
    introduction.ours.process = process;
    introduction.notary = make_notary(identity);
    introduction.keys = swarm == 0 ? guest_channel() : open_channel(introduction.ours.swarm);
    return introduction;
}

}  // namespace starling::peer
