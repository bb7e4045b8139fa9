#pragma once

// What the founder of a virtual swarm decides: its descriptor, and the shards of a small data set.

#include <cstdint>
#include <vector>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "gossip/config.hpp"
#include "peer/terms/descriptor.hpp"
#include "peer/virtual/training_options.hpp"

namespace starling::peer_virtual {

struct SwarmTerms {
    peer::Descriptor descriptor;
    Bytes blob;  ///< the encoded descriptor
    SwarmId id;
    std::vector<Bytes> shards;  ///< in the order of the manifest

    /// The same arguments give the same terms.
    static SwarmTerms make(
        const TrainingOptions& training,
        const gossip::AveragerConfig& averaging,
        bool sync,
        std::uint64_t seed
    );
};

}  // namespace starling::peer_virtual
