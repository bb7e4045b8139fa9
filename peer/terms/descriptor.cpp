#include "peer/terms/descriptor.hpp"

#include "peer/crypto/sha256.hpp"

namespace starling::peer {

SwarmId swarm_id_of(ByteView descriptor_bytes) {
    return SwarmId{sha256(descriptor_bytes)};
}

std::uint32_t steps_between(const Descriptor& descriptor, std::uint32_t outer_steps) {
    if (outer_steps > 0) return outer_steps;
    const bool counted = descriptor.sync || descriptor.mix_every.by == MixBy::Steps;
    return counted ? descriptor.mix_every.steps : 0;
}

}  // namespace starling::peer
