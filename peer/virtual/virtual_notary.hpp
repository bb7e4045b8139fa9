#pragma once

// The signatures of the simulator. A signature is a keyed hash, which costs nanoseconds. Anybody
// could compute it, so a simulated liar must not sign for others. A peer's id is its key.

#include "base/rng.hpp"
#include "membership/notary.hpp"

namespace starling::peer_virtual {

class VirtualNotary final : public membership::Notary {
public:
    explicit VirtualNotary(const PeerId& id) : key_(id.bytes) {}

    [[nodiscard]] const membership::PublicKey& key() const override { return key_; }

    [[nodiscard]] membership::Signature sign(ByteView text) const override {
        return make(key_, text);
    }

    [[nodiscard]] bool verify(
        const membership::PublicKey& key, ByteView text, const membership::Signature& signature
    ) const override {
        return make(key, text) == signature;
    }

    [[nodiscard]] PeerId id_of(const membership::PublicKey& key) const override {
        return PeerId{key};
    }

private:
    static membership::Signature make(const membership::PublicKey& key, ByteView text) {
        std::uint64_t hash = mix64(PeerId{key}.prefix64());
        for (const auto byte : text) hash = mix64(hash ^ static_cast<std::uint64_t>(byte));
        membership::Signature signature{};
        for (std::size_t i = 0; i < 8; ++i) {
            signature[i] = static_cast<std::uint8_t>(hash >> (8 * i));
        }
        return signature;
    }

    membership::PublicKey key_;
};

}  // namespace starling::peer_virtual
