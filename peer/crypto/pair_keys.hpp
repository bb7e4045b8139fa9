#pragma once

// Secrets that two peers share and nobody else can compute, not even another member: X25519 between
// their identities (RFC 7748), mixed with the swarm key. A peer's X25519 key is its Ed25519 key on
// the other form of the same curve, so nothing more has to be published.
//
// Thread    one

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <unordered_map>

#include "membership/notary.hpp"
#include "peer/crypto/identity.hpp"
#include "peer/crypto/swarm_key.hpp"

namespace starling::peer {

/// Hashes a public key, which looks random.
struct HashKey {
    std::size_t operator()(const membership::PublicKey& key) const noexcept;
};

class PairKeys {
public:
    /// Secrets that are kept. Above this an arbitrary one is forgotten and computed anew when needed.
    static constexpr std::size_t kPairsMax = 65536;

    PairKeys(const SwarmKey& swarm_key, const Identity& identity);

    /// Our own public key.
    [[nodiscard]] const membership::PublicKey& self() const { return self_; }

    /// Returns the secret shared with the peer of this Ed25519 key; nothing if the key is none that
    /// an honest peer can have. Some 50 us at the first call for a peer.
    [[nodiscard]] std::optional<SwarmKey> with(const membership::PublicKey& other);

private:
    SwarmKey swarm_key_;
    std::shared_ptr<evp_pkey_st> own_;  ///< the private half, for X25519
    membership::PublicKey self_{};
    std::unordered_map<membership::PublicKey, SwarmKey, HashKey> pairs_;
};

/// Returns the X25519 key that belongs to an Ed25519 key: u = (1 + y) / (1 - y) modulo 2^255 - 19.
/// Nothing for y = 1 and for what is no coordinate.
/// Source    RFC 7748, section 4.1
[[nodiscard]] std::optional<std::array<std::uint8_t, 32>> x25519_key_of(
    const membership::PublicKey& key
);

}  // namespace starling::peer
