#pragma once

// What a peer has before it meets anybody: a locked state directory, an identity, the checkpoint of
// its last life, and a key.
//
// Thread    any; files only, no sockets

#include <optional>

#include "base/result.hpp"
#include "peer/checkpoint.hpp"
#include "peer/config.hpp"
#include "peer/descriptor.hpp"
#include "peer/files.hpp"
#include "peer/identity.hpp"
#include "peer/swarm_key.hpp"

namespace starling::peer {

struct LocalState {
    std::optional<StateLock> lock;
    Identity identity;
    std::optional<Checkpoint> checkpoint;
    std::optional<SwarmKey> key;  ///< given by the user, or kept from the last life
};

/// Whether a peer with this configuration and checkpoint founds a swarm that trains.
[[nodiscard]] bool founds(const PeerConfig& config, const std::optional<Checkpoint>& checkpoint);

/// Locks the state directory and reads what it holds; makes an identity, and for a founder that
/// keeps a state a key.
/// Errors    Usage (nothing to train on, a key file that is missing, damaged or readable by others,
///           an identity worn out), Io, BadFormat, AddressInUse (another peer runs there)
[[nodiscard]] Result<LocalState> open_local_state(const PeerConfig& config);

/// Decides by which key our swarm is sealed, and keeps it for the next life.
/// Errors    Usage (a key given to an open swarm, none given to one with a key), Io
[[nodiscard]] Result<SwarmKey> settle_key(
    const PeerConfig& config,
    const std::optional<SwarmKey>& own,
    const Descriptor& descriptor,
    const SwarmId& swarm
);

/// Where a peer keeps the key of its swarm, unless it was named. Empty without a state directory.
[[nodiscard]] std::filesystem::path key_path(const PeerConfig& config);

}  // namespace starling::peer
