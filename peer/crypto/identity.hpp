#pragma once

// A peer's identity: an Ed25519 key, made at the first start, and a boot epoch, which rises with
// every start. The state directory holds `identity.key` (PEM, readable by its owner only) and
// `epoch` (a decimal number).

#include <cstdint>
#include <filesystem>
#include <memory>

#include "base/ids.hpp"
#include "base/result.hpp"

struct evp_pkey_st;

namespace starling::peer {

struct Identity {
    PeerId id;
    std::shared_ptr<evp_pkey_st> key;  ///< an EVP_PKEY of kind Ed25519 with its private half
    std::uint64_t epoch = 1;           ///< boot epoch: the first part of our Incarnation
};

/// Returns the id of the peer with this public key: the SHA-256 of its SubjectPublicKeyInfo (DER).
/// Errors    BadFormat (not an Ed25519 key)
[[nodiscard]] Result<PeerId> peer_id_of(const evp_pkey_st* key);

/// Makes a new identity that is stored nowhere and ends with the process; its epoch is 1.
[[nodiscard]] Identity ephemeral_identity();

/// Loads the identity of a state directory or makes one there, and raises the epoch: to one more
/// than the last, or to `epoch_at_least` if that is larger. An empty path gives an ephemeral
/// identity. Blocks until the new epoch is on the disk, so no two lives of a peer can share one.
/// Requires  the directory is locked
/// Errors    kDiskFull (no room for a new key, or see raise_epoch), Io, BadFormat (damaged key or epoch
///           file), Usage (a key that others may read)
[[nodiscard]] Result<Identity> load_identity(
    const std::filesystem::path& directory, std::uint64_t epoch_at_least = 1
);

}  // namespace starling::peer
