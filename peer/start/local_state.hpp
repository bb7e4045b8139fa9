#pragma once

// What a peer has before it contacts others: a locked state directory, an identity, the checkpoint
// of its last life, and a key.
//
// Thread    any; it uses files, but no sockets

#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "peer/crypto/identity.hpp"
#include "peer/crypto/swarm_key.hpp"
#include "peer/machine/files.hpp"
#include "peer/start/address_book.hpp"
#include "peer/terms/config.hpp"
#include "peer/terms/descriptor.hpp"
#include "peer/training/checkpoint.hpp"

namespace starling::peer {

struct LocalState {
    std::optional<StateLock> lock;
    Identity identity;
    std::optional<Checkpoint> checkpoint;
    std::optional<SwarmKey> key;      ///< from the user, or from the last life
    std::optional<AddressBook> book;  ///< the addresses of the last life
    std::vector<std::string> notes;   ///< lines for people
};

/// Returns whether a peer with this configuration and checkpoint founds a swarm that trains.
[[nodiscard]] bool founds(const PeerConfig& config, const std::optional<Checkpoint>& checkpoint);

/// Locks the state directory, closes it to other users and reads its contents. Makes an identity if there is none, and a key
/// for a founder with a state directory.
/// Errors    Usage (nothing to train on; a key file that is missing, damaged or readable by others,
///           or not that of the swarm to resume; a directory of another user; an identity that has started too often), Io, BadFormat, AddressInUse (another peer
///           runs there), and those of read_checkpoint
[[nodiscard]] Result<LocalState> open_local_state(const PeerConfig& config);

/// Returns what to say of an identity whose boot epochs are used up.
[[nodiscard]] Fault worn_out(const std::filesystem::path& state);

/// Chooses the key of our swarm, and writes a secret one into the state directory for the next
/// life.
/// Errors    Usage (a key for an open swarm, or none for a swarm with a key), Io
[[nodiscard]] Result<SwarmKey> choose_key(
    const PeerConfig& config,
    const std::optional<SwarmKey>& own,
    const Descriptor& descriptor,
    const SwarmId& swarm
);

/// Returns the file with the swarm's key: the one that the user names, else swarm.key in the state
/// directory. Empty if there is neither.
[[nodiscard]] std::filesystem::path key_path(const PeerConfig& config);

}  // namespace starling::peer
