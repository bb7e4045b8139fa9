#pragma once

// Who signs and checks signatures for the machine, which knows no cryptography. peer/notary does it
// with Ed25519, the simulator with a cheap keyed hash.

#include <array>
#include <cstdint>

#include "base/bytes.hpp"
#include "base/ids.hpp"

namespace starling::membership {

/// A raw Ed25519 public key.
using PublicKey = std::array<std::uint8_t, 32>;
/// An Ed25519 signature.
using Signature = std::array<std::uint8_t, 64>;

/// Thread    the machine's
class Notary {
public:
    Notary() = default;
    virtual ~Notary() = default;
    Notary(const Notary&) = delete;
    Notary& operator=(const Notary&) = delete;
    Notary(Notary&&) = delete;
    Notary& operator=(Notary&&) = delete;

    /// Our own public key.
    [[nodiscard]] virtual const PublicKey& key() const = 0;

    /// Signs with our own key.
    [[nodiscard]] virtual Signature sign(ByteView text) const = 0;

    [[nodiscard]] virtual bool verify(
        const PublicKey& key, ByteView text, const Signature& signature
    ) const = 0;

    /// Returns the peer that the key belongs to.
    [[nodiscard]] virtual PeerId id_of(const PublicKey& key) const = 0;
};

}  // namespace starling::membership
