#include "peer/descriptor.hpp"

#include "peer/sha256.hpp"

namespace starling::peer {

SwarmId swarm_id_of(ByteView descriptor_bytes) {
    return SwarmId{sha256(descriptor_bytes)};
}

}  // namespace starling::peer
